"""The choice among kinds: by hand, on planted truths, and through a whole training."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as theirs

from app.ml.auto import KINDS, choose_kind, held_out_probabilities
from app.ml.calibration import fit_platt
from app.ml.fitting import Fits
from app.ml.frame import Floats, Frame
from app.ml.kinds.models import ModelKind
from app.ml.split import deal_folds, deal_sides
from app.ml.trainer import TrainingResult
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import FEATURES, Data, quick

LOGISTIC, FOREST, BLEND = ModelKind.LOGISTIC, ModelKind.RANDOM_FOREST, ModelKind.BLEND


def planted_as(shape: str, n: int = 2000) -> Data:
    """Churn that is a straight line in usage and spend, or decided by whether their signs differ."""
    rng = np.random.default_rng(8)
    usage, spend = rng.normal(size=(2, n))
    log_odds = 1.2 * usage - 0.8 * spend if shape == "line" else 2.5 * np.sign(usage * spend)
    churned = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    table = pa.table(
        {
            "usage": usage,
            "spend": spend,
            "paperless": rng.random(n) < 0.5,
            "contract": np.where(rng.random(n) < 0.5, "monthly", "annual"),
        }
    )
    accounts = [f"a{number}" for number in rng.permutation(n)]
    return Data(Frame(pa.array(accounts), table, churned), deal_sides(accounts, churned, seed=1), FEATURES)


def auto(data: Data, *, n_threads: int = 2) -> TrainingResult:
    return data.train(quick(ModelType.AUTO), n_folds=3, n_threads=n_threads)


@pytest.fixture(scope="module")
def line() -> TrainingResult:
    return auto(planted_as("line"))


@pytest.fixture(scope="module")
def signs() -> TrainingResult:
    return auto(planted_as("signs"))


def test_a_straight_line_is_left_to_logistic_regression(line: TrainingResult) -> None:
    choice = line.primary.kind_choice
    assert choice is not None
    assert choice.kind is line.primary.bundle.kind is LOGISTIC
    assert line.baseline.bundle.kind is ModelKind.BASE_RATE
    assert "simplest" in choice.sentence or "no kind is simpler" in choice.sentence


def test_signs_that_differ_are_left_to_trees(signs: TrainingResult) -> None:
    choice = signs.primary.kind_choice
    assert choice is not None
    assert choice.kind is not LOGISTIC
    assert signs.baseline.bundle.kind is LOGISTIC
    assert signs.improvement_over_baseline > 0.2


def test_the_table_holds_every_kind_and_marks_one(signs: TrainingResult) -> None:
    choice = signs.primary.kind_choice
    assert choice is not None
    told = choice.to_json()
    assert [row["kind"] for row in told["kinds"]] == [kind.value for kind in KINDS]
    assert [row["kind"] for row in told["kinds"] if row["chosen"]] == [told["kind"]]
    assert min(row["difference"] for row in told["kinds"]) == 0


def test_the_chosen_model_is_the_one_that_is_fitted_alone(signs: TrainingResult) -> None:
    """Fits are shared, and sharing changes no byte."""
    kind = signs.primary.bundle.kind
    alone = planted_as("signs").train(quick(ModelType(kind.value)), n_folds=3)
    assert alone.primary.bundle.to_bytes() == signs.primary.bundle.to_bytes()
    assert alone.baseline.bundle.to_bytes() == signs.baseline.bundle.to_bytes()


def test_rows_and_threads_have_no_effect(signs: TrainingResult) -> None:
    data = planted_as("signs")
    order = np.random.default_rng(2).permutation(len(data.frame))
    shuffled = Data(data.frame.take(order), data.sides[order], data.features)
    again = auto(shuffled, n_threads=1)
    assert again.primary.bundle.sha256 == signs.primary.bundle.sha256
    assert again.primary.kind_choice == signs.primary.kind_choice


def test_figures_of_the_table_are_those_of_sklearn() -> None:
    y, chances = coin(400), chances_of(400)
    choice = choose_kind({LOGISTIC: chances[0], FOREST: chances[1]}, y, np.arange(400))
    for row, p in zip(choice.rows, chances, strict=True):
        assert row.log_loss == pytest.approx(theirs.log_loss(y, p))
        assert row.roc_auc == pytest.approx(theirs.roc_auc_score(y, p))


def coin(n: int) -> Floats:
    return (np.random.default_rng(1).random(n) < 0.4).astype(np.float64)


def chances_of(n: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(2)
    return rng.uniform(0.1, 0.9, n), rng.uniform(0.2, 0.8, n)


def loss_of(excess: Floats) -> Floats:
    """Probabilities of churners with a log-loss of .5 plus this excess."""
    return np.asarray(np.exp(-(0.5 + excess)))


def test_within_one_standard_error_the_simpler_wins() -> None:
    """By hand: differences of mean m and standard deviation s over n rows have standard error s / sqrt(n - 1)."""
    y, alternating = np.ones(100), np.tile([-0.1, 0.1], 50)
    se = 0.1 / np.sqrt(99)
    y[:2] = 0  # an AUC needs both classes; these two rows cost all kinds the same

    def chosen(ahead: float) -> ModelKind:
        behind = np.zeros(100)
        behind[2:] = alternating[2:] + ahead
        return choose_kind({LOGISTIC: loss_of(behind), BLEND: loss_of(np.zeros(100))}, y, np.arange(100)).kind

    assert chosen(0.9 * se) is LOGISTIC
    assert chosen(1.2 * se) is BLEND


def test_the_standard_error_is_clustered_by_account() -> None:
    """Ten copies of each account's row say no more than one."""
    y, behind = np.tile([0.0, 1.0], 10), np.tile([0.3, 0.3, -0.1, -0.1], 5)
    rows = {LOGISTIC: loss_of(behind) ** y * 0.5 ** (1 - y), BLEND: loss_of(np.zeros(20)) ** y * 0.5 ** (1 - y)}
    once = choose_kind(rows, y, np.arange(20))
    copies = {kind: np.repeat(p, 10) for kind, p in rows.items()}
    again = choose_kind(copies, np.repeat(y, 10), np.repeat(np.arange(20), 10))
    assert again.rows[0].difference_se == pytest.approx(once.rows[0].difference_se)
    assert again.kind is once.kind


def test_held_out_probabilities_know_nothing_of_their_fold() -> None:
    """Other labels in a fold leave its own probabilities as they are, weights of the blend included."""
    data = planted_as("line", n=400)
    assert data.frame.churned is not None
    y = data.frame.churned
    X = np.column_stack([data.frame.features[name].to_numpy() for name in ("usage", "spend")]).astype(np.float32)
    folds = deal_folds(data.frame.accounts.to_pylist(), y, 3, seed=1)
    fits = Fits(quick(ModelType.AUTO), X, y, folds, n_threads=1)
    changed = np.where(folds == 0, 1 - y, y)
    for kind in (LOGISTIC, BLEND):
        fitted = fits.fit(kind, lambda _share: None)
        before = held_out_probabilities(fitted, y, folds)
        after = held_out_probabilities(fitted, changed, folds)
        np.testing.assert_array_equal(after[folds == 0], before[folds == 0])
        assert (after[folds == 1] != before[folds == 1]).any()


def test_held_out_probabilities_by_hand() -> None:
    data = planted_as("line", n=400)
    assert data.frame.churned is not None
    y = data.frame.churned
    X = data.frame.features["usage"].to_numpy().astype(np.float32)[:, np.newaxis]
    folds = np.arange(400) % 2
    fitted = Fits(ModelConfig(), X, y, folds, n_threads=1).fit(LOGISTIC, lambda _share: None)
    fitted = dataclasses.replace(fitted, calibrator=fit_platt(fitted.oof_margins, y))
    expected = fit_platt(fitted.oof_margins[folds == 0], y[folds == 0]).apply(fitted.oof_margins[folds == 1])
    np.testing.assert_allclose(held_out_probabilities(fitted, y, folds)[folds == 1], expected)
