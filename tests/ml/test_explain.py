import warnings

import numpy as np
import pytest

from app.ml.encoding import EncodedFeature, Encoder
from app.ml.explain import (
    ExplanationError,
    _woodelf,
    contributions,
    reason_text,
    row_reasons,
    summarise,
    value_text,
)
from app.ml.frame import Feature, FeatureKind
from app.ml.kinds.model_files import read_model
from app.ml.trainer import TrainingResult
from tests.ml.planted import Data


def test_both_ways_equal_shap(boosted: TrainingResult, data: Data) -> None:
    """WOODELF, the booster's own values and shap's TreeExplainer, all path-dependent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    bundle = boosted.primary.bundle
    X = bundle.encoder.encode(data.frame.features)
    model = read_model(bundle.kind, bundle.files, n_threads=1)
    explainer = shap.TreeExplainer(getattr(model, "booster"), feature_perturbation="tree_path_dependent")  # noqa: B009
    expected = explainer.shap_values(X.astype(np.float64))
    np.testing.assert_allclose(model.native_contributions(X), expected, atol=1e-5)
    np.testing.assert_allclose(_woodelf(model, X), expected, atol=1e-5)


def test_contributions_sum_to_the_margin_but_for_a_constant(trained: TrainingResult, data: Data) -> None:
    bundle = trained.primary.bundle
    model = read_model(bundle.kind, bundle.files, n_threads=1)
    table = data.frame.features
    for n in (50, len(data.frame)):
        X = bundle.encoder.encode(table.slice(0, n))
        by_feature = contributions(model, X, bundle.encoder)
        assert by_feature.shape == (n, 4)
        assert np.ptp(model.margins(X) - by_feature.sum(axis=1)) < 1e-4


def test_many_rows_are_explained_like_few(boosted: TrainingResult, data: Data) -> None:
    bundle = boosted.primary.bundle
    model = read_model(bundle.kind, bundle.files, n_threads=1)
    X = np.tile(bundle.encoder.encode(data.frame.features), (4, 1))
    few = contributions(model, X[:100], bundle.encoder)
    np.testing.assert_allclose(contributions(model, X, bundle.encoder)[:100], few, atol=1e-5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (1234.0, "1,234"),
        (99.654, "99.65"),
        (0.12345, "0.123"),
        (True, "yes"),
        ("Month-to-month", "Month-to-month"),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_values_in_words(value: float | str | bool | None, text: str | None) -> None:
    assert value_text(value) == text


def test_reasons_in_words() -> None:
    assert reason_text("tenure", "2", 0.4) == "tenure is 2 (raises the risk)"
    assert reason_text("nps", None, -0.4) == "nps is missing (lowers the risk)"


def test_the_largest_effects_come_first_and_none_without_effect() -> None:
    numbers = [EncodedFeature(Feature(name, FeatureKind.NUMERIC)) for name in ("a_b", "c", "d", "e")]
    reasons = row_reasons(np.array([0.1, -0.5, 0.0, 0.3]), [1.0, 2.0, 3.0, None], Encoder(tuple(numbers)), 4)
    assert [(r.feature, r.contribution) for r in reasons] == [("c", -0.5), ("e", 0.3), ("a_b", 0.1)]
    assert reasons[2].text == "a b is 1 (raises the risk)"


def test_the_summary_is_the_mean_absolute_value(trained: TrainingResult) -> None:
    summary = trained.primary.shap_summary
    assert summary is not None
    means = np.abs(summary.contributions).mean(axis=0)
    assert summary.mean_absolute == pytest.approx(dict(zip(summary.features, means, strict=True)))
    assert list(summary.mean_absolute.values()) == sorted(means, reverse=True)
    assert summary.n_sample == trained.primary.oof_probabilities.size


def test_a_failure_tells_how_to_go_without(boosted: TrainingResult, data: Data) -> None:
    bundle = boosted.primary.bundle
    model = read_model(bundle.kind, bundle.files, n_threads=1)
    too_narrow = bundle.encoder.encode(data.frame.features)[:, :2]
    with pytest.raises(ExplanationError, match="--no-shap"):
        summarise(model, too_narrow, bundle.encoder)
