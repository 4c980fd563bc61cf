import threading

import numpy as np
import pyarrow as pa
import pytest

from app.ml.encoding import EncodingError
from app.ml.explain import REASON_TYPE
from app.ml.scorer import Scorer, score_table
from app.ml.trainer import TrainingResult
from tests.ml.planted import Data


def test_a_table_scores_as_it_did_in_training(trained: TrainingResult, data: Data) -> None:
    scorer = Scorer(trained.primary.bundle, n_threads=2)
    test_rows = data.frame.features.filter(pa.array(data.sides == "test"))
    np.testing.assert_allclose(scorer.score(test_rows), trained.primary.test_probabilities, atol=1e-9)


def test_one_row_scores_and_explains_like_a_table(trained: TrainingResult, data: Data) -> None:
    scorer = Scorer(trained.primary.bundle)
    rows = data.frame.features.slice(0, 40)
    probabilities, reasons = scorer.score_and_explain(rows, 3)
    for row, probability, expected in zip(rows.to_pylist(), probabilities, reasons.to_pylist(), strict=True):
        found = scorer.score_one(row, 3)
        assert found.probability == pytest.approx(probability, abs=1e-6)
        assert [(r.feature, r.value, r.text) for r in found.reasons] == [
            (r["feature"], r["value"], r["text"]) for r in expected
        ]
        assert [r.contribution for r in found.reasons] == pytest.approx([r["contribution"] for r in expected], abs=1e-5)


def test_score_table_carries_other_columns_over(trained: TrainingResult, data: Data) -> None:
    table = data.frame.features.slice(0, 5).append_column("account_id", data.frame.accounts.slice(0, 5))
    scored = score_table(Scorer(trained.primary.bundle), table, 2)
    assert scored.column_names == ["account_id", "churn_probability", "reasons"]
    assert scored.schema.field("reasons").type == pa.list_(REASON_TYPE)
    assert all(len(reasons) <= 2 for reasons in scored["reasons"].to_pylist())


def test_no_reasons_and_no_rows(trained: TrainingResult, data: Data) -> None:
    scorer = Scorer(trained.primary.bundle)
    assert score_table(scorer, data.frame.features.slice(0, 3), 0)["reasons"].to_pylist() == [[], [], []]
    assert score_table(scorer, data.frame.features.slice(0, 0), 3).num_rows == 0
    assert scorer.score_one({}).reasons == ()


def test_an_account_of_which_nothing_is_known_is_scored(trained: TrainingResult) -> None:
    found = Scorer(trained.primary.bundle).score_one({}, 4)
    assert 0 < found.probability < 1
    assert all(reason.value is None for reason in found.reasons)


def test_the_schema_names_the_columns(trained: TrainingResult) -> None:
    schema = Scorer(trained.primary.bundle).features
    assert schema.names == ["usage", "spend", "paperless", "contract"]
    assert schema.types == [pa.float64(), pa.float64(), pa.bool_(), pa.string()]


def test_a_table_without_a_feature_is_refused(trained: TrainingResult, data: Data) -> None:
    with pytest.raises(EncodingError, match="spend"):
        Scorer(trained.primary.bundle).score(data.frame.features.drop_columns(["spend"]))


def test_threads_may_share_a_scorer(trained: TrainingResult, data: Data) -> None:
    scorer = Scorer(trained.primary.bundle, n_threads=2)
    expected = scorer.score(data.frame.features)
    answers: list[bool] = []

    def work() -> None:
        for row in range(20):
            alone = scorer.score_one(data.frame.features.slice(row, 1).to_pylist()[0], 2).probability
            together = scorer.score(data.frame.features)
            answers.append(abs(alone - expected[row]) < 1e-6 and bool((together == expected).all()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 80
    assert all(answers)
