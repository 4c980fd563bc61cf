"""Figures and progress as people see them."""

import pytest

from app.cli.terminal import JobProgress, coloured, interval, number, share, show_problem, show_table, threshold, when


def test_figures_and_what_is_not_known() -> None:
    assert (number(0.8125), number(12.0, 0), number(None)) == ("0.812", "12", "-")
    assert (share(0.0345), share(None)) == ("3.5%", "-")
    assert (interval([0.7, 0.85]), interval(None)) == ("0.700 .. 0.850", "-")
    assert (threshold(0.7), threshold([0.8, 1.25]), threshold(None)) == ("0.7", "0.8 to 1.25", "-")
    assert (when("2026-01-05T06:07:08.9Z"), when(None)) == ("2026-01-05 06:07", "-")


def test_text_of_others_is_no_markup() -> None:
    assert coloured("[red]x") == r"\[red]x"
    assert coloured("hold") == "[yellow]hold[/]"


def test_a_table_keeps_brackets_and_long_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("Title", ["a", "b"], [[coloured("[b]"), "word " * 40]])
    out = capsys.readouterr().out
    assert "[b]" in out
    assert out.count("word") == 40


def test_a_problem_goes_to_stderr_with_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    show_problem({"detail": "No [such] thing.", "hint": "Look.", "errors": [{"pointer": "/a", "detail": "bad"}]})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["No [such] thing.", "  /a: bad", "Look."]


def test_without_a_terminal_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with JobProgress("train") as progress:
        for step, done in [(None, 0.0), ("read", 0.0), ("fit", 0.1), ("fit", 0.5), ("store", 0.9)]:
            progress.show(step, done)
    assert capsys.readouterr().err.splitlines() == ["train: read", "train: fit", "train: store"]
