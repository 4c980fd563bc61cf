import numpy as np
import numpy.typing as npt
import pytest

from app.ml.frame import Floats
from app.ml.leaks.findings import Finding
from app.ml.leaks.twins import Fingerprints, count_distinct, probe_twins, rounded
from tests.ml.leaks.build import column_of, rows_of

N = 1000
Matrix = npt.NDArray[np.float64]


def probe(X: Matrix, sides: npt.NDArray[np.str_], accounts: list[str] | None = None) -> Finding | None:
    y = (np.random.default_rng(9).random(len(X)) < 0.2).astype(float)
    prints = Fingerprints.empty(len(X))
    for column in X.T:
        prints.add(column_of(column))
    return probe_twins(prints, sides, rows_of(y, accounts))


def deal(seed: int = 3, n: int = N) -> npt.NDArray[np.str_]:
    return np.random.default_rng(seed).choice(np.array(["train", "validation", "test"]), n)


def with_twins(X: Matrix, n_pairs: int, *, noise: float = 0.0) -> Matrix:
    copied = X.copy()
    copied[-n_pairs:] = X[:n_pairs] + noise * np.random.default_rng(4).normal(size=(n_pairs, X.shape[1]))
    return copied


def continuous(d: int = 9) -> Matrix:
    return np.random.default_rng(1).lognormal(3, 1, (N, d))


def test_planted_twins_are_counted() -> None:
    sides = deal()
    found = probe(with_twins(continuous(), 40), sides)
    assert found is not None
    assert found.name == "accounts:twins_across_sides"
    n_parted = int((sides[:40] != sides[-40:]).sum())
    assert found.evidence["n_twin_accounts"] == 2 * n_parted
    assert found.evidence["n_groups"] == n_parted
    assert found.evidence["share_of_accounts"] == 2 * n_parted / N


def test_nearly_equal_values_are_twins_too() -> None:
    found = probe(with_twins(continuous(), 100, noise=1e-4), deal())
    assert found is not None
    assert found.evidence["n_twin_accounts"] > 50


def test_twins_on_one_side_are_no_leak() -> None:
    assert probe(with_twins(continuous(), 40), np.full(N, "train")) is None


def test_one_account_at_two_instants_is_no_twin() -> None:
    ids = [f"a{i}" for i in range(N - 40)] + [f"a{i}" for i in range(40)]
    assert probe(with_twins(continuous(), 40), deal(), ids) is None


def test_few_twins_are_an_oddity() -> None:
    assert probe(with_twins(continuous(), 4), deal()) is None


@pytest.mark.parametrize("n_values", [2, 4, 8])
def test_discrete_features_are_no_twins(n_values: int) -> None:
    X = np.random.default_rng(n_values).integers(0, n_values, (N, 9)).astype(float)
    assert probe(X, deal()) is None


def purchases(seed: int, n: int = 3000) -> Matrix:
    """Many accounts with one order at a list price: sum, mean and largest are one number; others never ordered."""
    rng = np.random.default_rng(seed)
    n_orders = rng.choice(np.array([0, 1, 1, 1, 2, 5, 9]), n)
    prices, days = rng.choice(np.arange(5, 100) - 0.01, n), rng.integers(1, 60, n)
    mean = np.where(n_orders == 1, prices, np.round(prices * rng.lognormal(0, 0.3, n), 2)) * (n_orders > 0)
    recency = np.where(n_orders > 0, days, 90)
    tenure = np.where(n_orders > 1, days + rng.integers(0, 300, n), days)
    columns: list[Floats] = [
        n_orders,
        n_orders * mean,
        mean,
        mean * 1.1,
        recency,
        tenure,
        tenure - recency,
        (recency < 30).astype(float),
    ]
    return np.column_stack([np.asarray(each, dtype=np.float64) for each in columns])


@pytest.mark.parametrize("seed", range(4))
def test_accounts_of_one_order_are_no_twins(seed: int) -> None:
    assert probe(purchases(seed), deal(seed, 3000)) is None


def test_a_common_kind_of_account_is_no_twin() -> None:
    """Nobody else has nothing at all, but those forty are no one customer."""
    X = continuous()
    X[:40] = 0
    assert probe(X, deal()) is None


def test_rounding_keeps_missing_apart() -> None:
    codes = rounded(column_of([1.0, 1.0 + 1e-7, None, 0.0, 2.0]))
    assert codes[0] == codes[1]
    assert len(set(codes.tolist())) == 4
    assert len(set(rounded(column_of(["a", "b", None, "a"])).tolist())) == 3


def test_distinct_members() -> None:
    assert count_distinct(np.array([0, 0, 1, 1, 1]), np.array([4, 4, 4, 2, 2])).tolist() == [1, 2]
