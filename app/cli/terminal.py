"""What people see on the terminal: sentences, tables and progress, from the same JSON that HTTP answers."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

Json = Mapping[str, Any]
WIDTH_WITHOUT_TERMINAL = 140
_COLOURS = {
    "pass": "green",
    "promote": "green",
    "healthy": "green",
    "fail": "red",
    "reject": "red",
    "critical": "red",
    "high": "red",
    "insufficient": "yellow",
    "hold": "yellow",
    "warning": "yellow",
    "medium": "yellow",
}


def make_console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr; a file or pipe gets plain lines of a fixed width."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL)


def coloured(word: object) -> str:
    """A word of ours in the colour of its meaning."""
    text = escape(str(word))
    return f"[{_COLOURS[text]}]{text}[/]" if text in _COLOURS else text


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """A share as a percentage."""
    return "-" if value is None else f"{value:.1%}"


def interval(ends: Sequence[float] | None) -> str:
    """An interval by its two ends."""
    return "-" if ends is None else f"{ends[0]:.3f} .. {ends[1]:.3f}"


def threshold(value: Any) -> str:
    """A threshold: a number, a range, or a dash."""
    if isinstance(value, list | tuple):
        return " to ".join(map(threshold, value))
    return "-" if value is None else f"{value:g}"


def when(instant: str | None) -> str:
    """An instant to the minute, in UTC."""
    return "-" if instant is None else instant[:16].replace("T", " ")


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; cells may hold markup."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    make_console().print(table)


def say(sentence: str) -> None:
    """Print a sentence of plain text."""
    make_console().print(escape(sentence), soft_wrap=True)


def say_next(*commands: str) -> None:
    """Print what can be typed next."""
    console = make_console()
    console.print("Next:", style="bold")
    for command in commands:
        console.print(f"  {escape(command)}", soft_wrap=True)


def show_problem(problem: Json) -> None:
    """Print a failure on stderr: its sentence, the fields it points to, and what to do."""
    console = make_console(stderr=True)
    console.print(f"[red]{escape(str(problem['detail']))}[/]", soft_wrap=True)
    for field in problem.get("errors") or []:
        console.print(f"  {escape(field['pointer'])}: {escape(field['detail'])}", soft_wrap=True)
    if problem.get("hint"):
        console.print(escape(str(problem["hint"])), soft_wrap=True)


class JobProgress:
    """The steps of a job: a bar on a terminal, a line per step elsewhere; on stderr, so stdout stays the answer's."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = make_console(stderr=True)
        self._step: str | None = None
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.fields[step]}"))
            self._bar = Progress(*columns, TimeElapsedColumn(), console=self._console)
            self._task = self._bar.add_task(self._title, total=1.0, step="")
            self._bar.start()
        return self

    def show(self, step: str | None, progress: float) -> None:
        """Where the job is: the name of its step and the share done, 0..1."""
        if self._bar:
            self._bar.update(self._task, completed=progress, step=step or "waiting")
        elif step and step != self._step:
            self._console.print(f"{self._title}: {escape(step)}")
        self._step = step

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar:
            if kind is None:
                self._bar.update(self._task, completed=1.0, step="done")
            self._bar.stop()
