"""The model card: every number in it is one of the report, rounded, and it says what a stranger asks."""

import copy
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from app.ml.model_card import model_card
from app.schemas.config import ModelConfig, ModelType
from app.services.training_report import model_report
from tests.ml.dated import GAP, dated
from tests.ml.planted import planted

SPLIT: dict[str, Any] = {
    "kind": "temporal",
    "seed": 7,
    "as_of": "2024-11-26T00:00:00+00:00",
    "information_end": "2024-10-12T00:00:00+00:00",
    "gap_days": 45,
    "instants": {"train": ["2024-01-01T00:00:00+00:00"], "test": ["2024-11-26T00:00:00+00:00"]},
    "sides": {
        side: {"n_rows": 1234, "n_accounts": 300, "n_churned": 99, "churn_rate": 99 / 1234}
        for side in ("train", "validation", "test")
    },
    "left_out": {"n_immature": 17, "n_unlabelled": 3},
}
ABOUT: dict[str, Any] = {
    "model_type": "xgboost",
    "role": "primary",
    "dataset": "shop",
    "revision": 2,
    "job": 41,
    "experiment": "weekly",
    "label": "An account counts as churned where `left` is `yes` within the 45 days after the instant.",
    "split": SPLIT,
    "warnings": ["Two rows were odd."],
    "code": {"version": "0.1.0", "commit": "abcdef1"},
}


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    data = dated()
    return model_report(data.train(ModelConfig(), gap=GAP, shap=True).primary, data.features)


def numbers_in(content: Any) -> Iterator[float]:
    """Every number of plain data, and those in its texts."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from numbers_in(key)
            yield from numbers_in(value)
    elif isinstance(content, list | tuple):
        for each in content:
            yield from numbers_in(each)
    elif isinstance(content, str):
        yield from (float(found.replace(",", "")) for found in re.findall(r"-?\d[\d,]*(?:\.\d+)?", content))
    elif isinstance(content, int | float):
        yield float(content)


def decimals(card: str) -> list[str]:
    return re.findall(r"[+-]?\d+\.\d+", card)


def test_every_decimal_of_the_card_is_a_number_of_the_report(report: dict[str, Any]) -> None:
    known = [*numbers_in(report), *numbers_in(ABOUT)]
    roundings = {f"{sign * scale * value:.{digits}f}" for value in known for scale in (1, 100) for sign in (1, -1)
                 for digits in (1, 3)}  # fmt: skip
    texts = " ".join([str(report), str(ABOUT), "0.1.0"])
    strangers = [
        found
        for found in decimals(model_card(ABOUT, report))
        if found.lstrip("+") not in roundings and found.lstrip("+-") not in texts
    ]
    assert strangers == []


def test_a_changed_figure_of_the_report_changes_the_card(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    changed["metrics"]["test"]["roc_auc"] = 0.123
    changed["rolling_origins"]["origins"][0]["roc_auc"] = 0.234
    changed["calibration"]["test"]["after"]["brier_skill"] = 0.345
    changed["baselines"][2]["metrics"]["lift"] = 4.567
    changed["cross_validation"]["sd"]["log_loss"] = 0.678
    card = model_card(ABOUT, changed)
    for figure in ("0.123", "0.234", "0.345", "4.567", "0.678"):
        assert figure in card
        assert figure not in model_card(ABOUT, report)


def test_the_card_says_what_a_stranger_asks(report: dict[str, Any]) -> None:
    card = model_card(ABOUT, report)
    for title in ("Data", "Figures", "Spread", "Against the baselines", "Calibration", "Tiers", "Features"):
        assert f"\n## {title}\n" in card
    for words in (
        "within the 45 days after the instant",
        "2024-10-12T00:00:00+00:00",
        "17 rows whose outcome was still open",
        "commit abcdef1",
        "Two rows were odd.",
        '`POST /models {"job_id": 41, "model": "primary"}`',
        report["training_data_hash"],
        *(each["sentence"] for each in report["baselines"]),
    ):
        assert words in card


def test_undated_data_and_what_is_unknown_can_be_told() -> None:
    data = planted(300)
    fitted = data.train(ModelConfig(model_type=ModelType.LOGISTIC)).baseline
    split = {"kind": "random", "seed": 1, "as_of": None, "information_end": None, "sides": SPLIT["sides"]}
    about = ABOUT | {"split": split | {"left_out": SPLIT["left_out"]}, "code": {"version": None, "commit": None}}
    card = model_card(about, model_report(fitted, data.features))
    assert "No scores through time. The data have no dates." in card
    assert "None" not in card
    assert "nan" not in card


def test_a_blend_that_was_chosen_says_why_and_of_what_it_is_made(report: dict[str, Any]) -> None:
    components = [
        {"name": "booster", "kind": "xgboost", "weight": 0.0, "spread": 0.0, "n_rounds": 21},
        {"name": "shallow", "kind": "xgboost", "weight": 0.654, "spread": 1.0, "n_rounds": 1076},
        {"name": "logistic", "kind": "logistic", "weight": 0.358, "spread": 0.6, "n_rounds": 1},
    ]
    choice: dict[str, Any] = {"kind": "blend", "sentence": "blend has the least out-of-fold log-loss.", "kinds": []}
    card = model_card(ABOUT, report | {"n_rounds": 1, "components": components, "kind_choice": choice})
    assert choice["sentence"] in card
    assert "| shallow | xgboost | 1,076 | 0.654 |" in card
    assert "| booster |" not in card
    assert "1 rounds" not in card


def test_estimated_reasons_are_called_so(report: dict[str, Any]) -> None:
    shap = report["shap"] | {"method": "estimate"}
    assert "by an estimate" in model_card(ABOUT, report | {"shap": shap})
    assert "by an estimate" not in model_card(ABOUT, report)


def test_names_do_not_break_tables(report: dict[str, Any]) -> None:
    changed = report | {"importances": {"a|b\nc": 1.0}}
    assert r"| a\|b c | 100.0 % |" in model_card(ABOUT, changed)


def test_a_gap_longer_than_the_data_is_told() -> None:
    data = dated(n_accounts=60)
    fitted = data.train(ModelConfig(model_type=ModelType.LOGISTIC), gap=timedelta(days=4000)).primary
    assert "No scores through time. No development instant" in model_card(ABOUT, model_report(fitted, data.features))
