"""The gate on frames judges as whole as the service: folds, segments, leaks and the list of production."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from app.ml import contenders
from app.ml.judgement import Check, EvidenceKind, Judgement
from holdfast import EvaluationConfig, EvaluationGate, ModelConfig, ModelTrainer, TrainedModel, TrainingConfig, Verdict
from tests.face.frames import planted_frame

Planted = tuple[pd.DataFrame, "pd.Series[int]"]
LOGISTIC = ModelConfig(model_type="logistic", logistic_params={"C": 1.0})
TREES = ModelConfig(model_type="random_forest", random_forest_params={"n_estimators": 5, "max_depth": 3})
QUICK = TrainingConfig(shap=False)


def train(X: Any, y: Any, model: ModelConfig = LOGISTIC, training: TrainingConfig = QUICK, **more: Any) -> TrainedModel:
    return ModelTrainer(model, training).train(X, y, **more)


def judge(result: TrainedModel, *rows: Any, bar: dict[str, Any] | None = None, **more: Any) -> Judgement:
    return EvaluationGate(EvaluationConfig.model_validate(bar or {})).evaluate(result, *rows, **more)


def find(judgement: Judgement, name: str) -> Check:
    return next(each for each in judgement.checks if each.name == name)


@pytest.fixture(scope="module")
def small() -> Planted:
    return planted_frame(600, seed=2)


@pytest.fixture(scope="module")
def trained(small: Planted) -> TrainedModel:
    return train(*small)


def test_few_churners_are_judged_in_folds_over_all_rows(small: Planted, trained: TrainedModel) -> None:
    judgement = judge(trained)
    thresholds = find(judgement, "thresholds")
    assert judgement.evidence is EvidenceKind.CROSS_FITTED
    assert (thresholds.details["n"], thresholds.details["n_churners"]) == (600, small[1].sum())
    assert any("600 labelled rows" in sentence for sentence in judgement.sentences)
    alone = judge(trained, bar={"evidence": "test_side"})
    assert (alone.evidence, find(alone, "thresholds").details["n"]) == (EvidenceKind.TEST_SIDE, 120)


def test_rows_given_to_judge_by_judge_the_model_alone(trained: TrainedModel) -> None:
    X, y = planted_frame(300, seed=8)
    judgement = judge(trained, X, y)
    assert judgement.evidence is EvidenceKind.TEST_SIDE
    assert judgement.checks[0].estimate == pytest.approx(roc_auc_score(y, trained.predict_proba(X)[:, 1]))


def test_many_churners_are_judged_on_the_test_side() -> None:
    assert judge(train(*planted_frame(4000, seed=3))).evidence is EvidenceKind.TEST_SIDE


def test_more_rows_than_can_be_refitted_are_told(trained: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "MAX_ROWS", 599)
    judgement = judge(trained)
    assert judgement.evidence is EvidenceKind.TEST_SIDE
    assert "takes 599 labelled rows at most, there are 600" in judgement.sentences[-1]


@pytest.mark.filterwarnings("error")  # in folds both learn from the same rows: neither is flattered
def test_production_is_compared_by_its_recipe_in_the_same_folds(small: Planted, trained: TrainedModel) -> None:
    """The logistic model is the baseline beside the trees, so that in the folds the two differences are one."""
    trees = train(*small, TREES)
    judgement = judge(trees, production=train(*small, ModelConfig(model_type="logistic")))
    check, baseline = find(judgement, "improvement_over_production"), find(judgement, "improvement_over_baseline")
    assert "the recipe of version 0 in production" in check.sentence
    assert (check.estimate, check.interval) == (baseline.estimate, baseline.interval)
    twin = judge(trained, production=train(*planted_frame(900, seed=5)))
    check = find(twin, "improvement_over_production")
    assert (check.estimate, check.verdict, twin.rule) == (0.0, Verdict.PASS, "not_worse")


def test_a_recipe_that_is_not_known_is_not_refitted_and_that_is_told(small: Planted, trained: TrainedModel) -> None:
    with pytest.warns(UserWarning, match="flatter"):
        judgement = judge(trained, production=trained.model)
    assert judgement.evidence is EvidenceKind.TEST_SIDE
    assert "whose recipe is not known" in judgement.sentences[-1]
    X, y = small
    wider = train(X.assign(always="x"), y)  # it does not read the column, but asked for it
    with pytest.warns(UserWarning, match="flatter"):
        judgement = judge(trained, production=wider)
    assert judgement.evidence is EvidenceKind.TEST_SIDE
    assert "X has no column always" in judgement.sentences[-1]


def test_production_that_read_a_column_as_another_kind_is_refitted_by_its_own() -> None:
    X, y = planted_frame(600, seed=2)
    as_text = train(X.assign(autopay=X["autopay"].map({True: "true", False: "false"})), y)
    judgement = judge(as_text, bar={"evidence": "auto"}, production=train(X, y))
    assert judgement.evidence is EvidenceKind.CROSS_FITTED
    assert find(judgement, "improvement_over_production").estimate == pytest.approx(0, abs=0.01)


def test_what_a_search_found_is_refitted_and_told(small: Planted) -> None:
    search = TrainingConfig.model_validate(
        {"shap": False, "search": {"n_trials": 2, "space": {"C": {"choices": [1.0]}}}}
    )
    timid = ModelConfig(model_type="logistic", logistic_params={"C": 1e-6})
    searched = train(*small, timid, search)
    assert searched.found_params == {"C": 1.0}
    judgement = judge(searched, production=train(*small))
    assert find(judgement, "improvement_over_production").estimate == 0.0
    assert any(told.startswith("The parameters of this version were found") for told in judgement.sentences)


def test_a_parameter_that_the_fit_chose_is_no_other_recipe(small: Planted) -> None:
    """C is tuned where it is not given, and comes out another one on other rows."""
    tuned = ModelConfig(model_type="logistic")
    models = [train(*planted_frame(n, seed=n), tuned) for n in (300, 1500)]
    assert models[0].primary.bundle.params != models[1].primary.bundle.params
    assert judge(models[0], production=models[1]).rule == "not_worse"


def test_rows_are_parted_by_the_segments_asked_for() -> None:
    X, y = planted_frame(2000, seed=1)
    region = np.where(np.arange(2000) % 2 == 0, "north", "south")
    left_out = TrainingConfig(shap=False, exclude_features=["region"])
    result = train(X.assign(region=region), y, training=left_out)
    bar = {"segments": {"features": ["plan", "region"], "min_auc": 0.6, "max_mean_error": 0.2}}
    fresh, fresh_y = planted_frame(2000, seed=7)
    for rows in ((), (fresh.assign(region=region), fresh_y), (pa.table(fresh.assign(region=region)), fresh_y)):
        check = find(judge(result, *rows, bar=bar), "weak_segments")
        names = {*check.details["too_small"], *(each["segment"] for each in check.details["segments"])}
        assert names == {"plan: basic", "plan: plus", "plan: pro", "region: north", "region: south"}
        assert check.verdict is not Verdict.FAIL
    south = next(each for each in check.details["segments"] if each["segment"] == "region: south")
    p = result.predict_proba(fresh)[:, 1]
    assert south["auc"]["estimate"] == pytest.approx(roc_auc_score(fresh_y[region == "south"], p[region == "south"]))
    absent = find(judge(result, fresh, fresh_y, bar=bar), "weak_segments")
    assert (absent.verdict, absent.details["absent"]) == (Verdict.INSUFFICIENT, ["region"])


def test_what_the_probes_found_is_kept_and_judged(small: Planted, trained: TrainedModel) -> None:
    bar = {"leak_suspicion": {}, "evidence": "test_side"}
    clean = find(judge(trained, bar=bar), "leak_suspicion")
    assert trained.leaks == ()
    assert "suspect no leak" in clean.sentence
    assert clean.verdict is Verdict.PASS
    X, y = small
    X = X.assign(hint=y + np.random.default_rng(1).normal(0, 0.42, y.size))  # AUC .95: suspected, not certain
    name = "hint:single_feature_auc"
    suspect = train(X, y)
    assert [each.name for each in suspect.leaks] == [name]
    found = find(judge(suspect, bar=bar), "leak_suspicion")
    assert (found.verdict, found.details["suspected"]) == (Verdict.FAIL, (name,))
    assert any(name in told for told in suspect.warnings)  # where the sentence sends the reader
    assert "the warnings of the training say why" in found.sentence
    accepted = train(X, y, training=TrainingConfig(shap=False, accept_leaks=[name]))
    assert find(judge(accepted, bar=bar), "leak_suspicion").details["suspected"] == ()


def test_the_list_of_production_is_kept_by_a_model_that_ranks_alike(small: Planted, trained: TrainedModel) -> None:
    bar = {"list_stability": {"min_stay": 0.5}}
    active = planted_frame(800, seed=11)[0]
    same = find(judge(trained, bar=bar, production=trained, active=active), "list_stability")
    assert (same.verdict, same.estimate) == (Verdict.PASS, 1.0)
    other = train(small[0].drop(columns="plan"), small[1])
    check = find(judge(trained, bar=bar, production=other, active=active), "list_stability")
    lists = [np.argsort(-each.predict_proba(active)[:, 1], kind="stable")[:80] for each in (trained, other)]
    assert check.details["n_active"] == 800
    assert check.details["n_stay"] <= check.details["n_old"] == 80
    assert check.estimate == pytest.approx(len({*lists[0]} & {*lists[1]}) / 80, abs=0.1)  # ties may fall otherwise
    first = find(judge(trained, bar=bar, active=active), "list_stability")
    assert first.verdict is Verdict.NOT_APPLICABLE


def test_without_active_accounts_the_list_is_of_those_that_stayed_on_the_test_side(trained: TrainedModel) -> None:
    check = find(judge(trained, bar={"list_stability": {}}, production=trained), "list_stability")
    assert check.details["n_active"] == (np.asarray(trained.test.churned) == 0).sum()


def test_rows_that_production_knows_all_of_compare_nothing_and_that_is_told(small: Planted) -> None:
    X, y = small
    accounts = pd.Series([f"a{number}" for number in range(600)])
    mine = train(X, y, accounts=accounts)
    on_test = mine.rows.sides == "test"
    learned = np.where(on_test | (np.arange(600) % 3 > 0), "train", "validation")
    learned[np.flatnonzero(~on_test)[:100]] = "test"
    theirs = train(X, y, accounts=accounts, sides=learned)
    check = find(judge(mine, bar={"evidence": "test_side"}, production=theirs), "improvement_over_production")
    assert check.verdict is Verdict.INSUFFICIENT
    assert "it learned from the accounts of all these rows" in check.sentence
