"""The same rows give the same bytes, whatever kind is trained, in whatever order they lie, on one thread or more."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.ml.bundle import Bundle
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data, planted

N_ACCOUNTS = 400
FEW_ROUNDS: dict[str, Any] = {
    **{key: {"n_estimators": 40} for key in ("xgboost_params", "lightgbm_params", "random_forest_params")},
    "mlp_params": {"n_epochs": 4},
}
OF_OTHERS = (ModelType.BLEND, ModelType.AUTO)  # fits of other kinds, put together
ALONE = tuple(each for each in ModelType if each not in OF_OTHERS)


def dated(n_accounts: int, seed: int = 5) -> Data:
    """Each account at three instants: tied, missing or infinite values; some rows alike but for the date."""
    rng = np.random.default_rng(seed)
    many = planted(3 * n_accounts, seed)
    assert many.frame.churned is not None
    usage = np.round(many.frame.features["usage"].to_numpy(), 1)
    usage[rng.random(usage.size) < 0.02] = np.inf
    table = many.frame.features.set_column(0, "usage", pa.array(usage, mask=rng.random(usage.size) < 0.05))
    copied = np.arange(len(many.frame))
    copied[n_accounts : n_accounts + n_accounts // 4] = copied[: n_accounts // 4]  # the first quarter, one instant on
    accounts = [f"a{number}" for number in range(n_accounts)] * 3
    instants = np.repeat(np.arange(3), n_accounts) * 86_400_000_000
    frame = dataclasses.replace(
        many.frame.take(copied),
        accounts=pa.array(accounts),
        features=table.take(pa.array(copied)),
        as_of=pa.array(instants, pa.timestamp("us", "UTC")),
    )
    return Data(frame, np.repeat(["train", "validation", "test"], n_accounts), many.features)


def mixed(data: Data, seed: int) -> Data:
    """The same rows in another order, held in other chunks."""
    order = np.random.default_rng(seed).permutation(len(data.frame))
    frame = data.frame.take(order)
    pieces = [frame.features.slice(0, 100), frame.features.slice(100)]
    return Data(dataclasses.replace(frame, features=pa.concat_tables(pieces)), data.sides[order], data.features)


def bundles(data: Data, model: ModelConfig, n_threads: int) -> tuple[Bundle, Bundle]:
    found = data.train(model, n_threads=n_threads, shap=True)
    return found.primary.bundle, found.baseline.bundle


@pytest.mark.parametrize("kind", [*ALONE, *(pytest.param(each, marks=pytest.mark.slow) for each in OF_OTHERS)])
def test_order_and_threads_have_no_effect(kind: ModelType) -> None:
    data, model = dated(N_ACCOUNTS), ModelConfig(model_type=kind, **(FEW_ROUNDS if kind in OF_OTHERS else {}))
    expected = bundles(data, model, 1)
    for seed, n_threads in ((1, 2), (2, 1), (3, 3)):
        found = bundles(mixed(data, seed), model, n_threads)
        assert [each.to_bytes() for each in found] == [each.to_bytes() for each in expected]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALONE)
def test_nor_where_the_rows_are_many_chunks(kind: ModelType) -> None:
    data, model = dated(14_000), ModelConfig(model_type=kind, **FEW_ROUNDS)
    expected = bundles(data, model, 1)
    found = bundles(mixed(data, 4), model, 2)
    assert [each.sha256 for each in found] == [each.sha256 for each in expected]
