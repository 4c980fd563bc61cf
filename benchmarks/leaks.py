"""How often the leak probes speak of honest and of leaking features, and their cost: python -m benchmarks.leaks."""

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import norm

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.leaks.columns import read_column
from app.ml.leaks.find import find_leaks
from app.ml.leaks.findings import Finding, Level
from app.ml.leaks.lead_time import Lagged, probe_lead_time
from app.ml.leaks.rows import prepare_rows
from app.ml.leaks.single_feature import probe_single_feature

Rng = np.random.Generator
Draw = Callable[[Rng, Floats], pa.Array]

CHURN_RATE = 0.2
LEADS_DAYS = (30.0, 60.0)
NOISE_OVER_TIME = 0.8  # correlation of what is noise in a feature, from one lead to the next


def draw_labels(rng: Rng, n_churners: int, rate: float = CHURN_RATE) -> Floats:
    """Exactly so many churners, in random order."""
    return rng.permutation(np.repeat([1.0, 0.0], [n_churners, round(n_churners / rate) - n_churners]))


def draw_binormal(rng: Rng, y: Floats, auc: float) -> Floats:
    """A number with this true AUC."""
    numbers: Floats = rng.normal(size=y.size) + np.sqrt(2) * norm.ppf(auc) * y
    return numbers


def draw_honest(rng: Rng, y: Floats) -> pa.Array:
    """A true AUC of .95."""
    return pa.array(draw_binormal(rng, y, 0.95))


def draw_honest_with_gaps(rng: Rng, y: Floats) -> pa.Array:
    """A true AUC of .95 where filled; a third is missing, of either class alike."""
    return pa.array(draw_binormal(rng, y, 0.95), mask=rng.random(y.size) < 1 / 3)


def draw_honest_levels(rng: Rng, y: Floats) -> pa.Array:
    """Text of 20 levels that orders accounts with an AUC of about .95."""
    levels = np.digitize(draw_binormal(rng, y, 0.95), norm.ppf(np.arange(1, 20) / 20))
    return pa.array([f"level {each}" for each in levels])


def draw_flipped_copy(rng: Rng, y: Floats) -> pa.Array:
    """The label, one in a hundred wrong."""
    return pa.array(np.where(rng.random(y.size) < 0.01, 1 - y, y))


def draw_flipped_text(rng: Rng, y: Floats) -> pa.Array:
    """The same as text, the label under four codes."""
    copy = np.where(rng.random(y.size) < 0.01, 1 - y, y)
    return pa.array([f"code {each:.0f}" for each in copy + 2 * rng.integers(0, 2, y.size)])


SINGLE: dict[str, Draw] = {
    "honest .95": draw_honest,
    "honest .95, gaps": draw_honest_with_gaps,
    "honest .95, text": draw_honest_levels,
    "copy, 1 % flips": draw_flipped_copy,
    "same, as text": draw_flipped_text,
}


def frame_of(columns: dict[str, pa.Array], y: Floats, *, rows_per_account: int = 1) -> Frame:
    """These columns, the accounts numbered in order, with so many rows each."""
    accounts = pa.array([f"a{i // rows_per_account}" for i in range(y.size)])
    return Frame(accounts, pa.table(columns), y)


def feature_of(name: str, column: pa.Array) -> Feature:
    """A feature of the kind that the column is of."""
    return Feature(name, FeatureKind.CATEGORICAL if pa.types.is_string(column.type) else FeatureKind.NUMERIC)


def judge_single(column: pa.Array, y: Floats, seed: int) -> Finding | None:
    """The probe of one feature."""
    frame = frame_of({"x": column}, y)
    rows = prepare_rows(frame, n_features=1, seed=seed)
    return probe_single_feature(read_column(frame.features, feature_of("x", column)), rows)


def study_single(draw: Draw, n_churners: int, *, runs: int, seed: int) -> tuple[float, float]:
    """Shares of runs with a certain finding, and with any."""
    rng = np.random.default_rng(seed)
    found = []
    for run in range(runs):
        y = draw_labels(rng, n_churners)
        found.append(judge_single(draw(rng, y), y, run))
    certain = [each is not None and each.level is Level.CERTAIN for each in found]
    return float(np.mean(certain)), float(np.mean([each is not None for each in found]))


def draw_noise(rng: Rng, n: int, n_features: int) -> dict[str, pa.Array]:
    """Numbers, numbers with many gaps, booleans, text of few levels and text of many, in turn; none knows anything."""
    kinds: tuple[Callable[[], pa.Array], ...] = (
        lambda: pa.array(rng.normal(size=n)),
        lambda: pa.array(rng.lognormal(size=n), mask=rng.random(n) < rng.random() ** 0.2),
        lambda: pa.array((rng.random(n) < 0.1).astype(float)),
        lambda: pa.array([f"l{i}" for i in rng.integers(0, 5, n)], mask=rng.random(n) < 0.5),
        lambda: pa.array([f"l{i}" for i in rng.integers(0, n // 2 + 1, n)]),
    )
    return {f"x{i}": kinds[i % len(kinds)]() for i in range(n_features)}


def study_noise(n: int, rate: float, *, n_features: int, runs: int, seed: int) -> dict[str, float]:
    """The mean number of findings per run, by probe."""
    rng, total = np.random.default_rng(seed), dict.fromkeys(("certain", "suspected"), 0.0)
    for run in range(runs):
        y = (rng.random(n) < rate).astype(float)
        columns = draw_noise(rng, n, n_features)
        sides: npt.NDArray[np.str_] = rng.choice(np.array(["train", "validation", "test"]), n)
        features = [feature_of(name, column) for name, column in columns.items()]
        order = rng.permutation(n).astype(np.int64)
        frame = frame_of(columns, y)
        for each in find_leaks(frame, features, seed=run, sides=sides, source_positions=order):
            total[each.level.value] += 1 / runs
    return total


def draw_decay(rng: Rng, y: Floats, auc: float, plateau: float, half_life_days: float) -> list[Floats]:
    """A feature at lead 0 and earlier, the distance of the classes falling from `auc`'s to `plateau`'s."""
    top, floor = (np.sqrt(2) * norm.ppf(each) for each in (auc, plateau))
    noise, seen = rng.normal(size=y.size), []
    for lead in (0.0, *LEADS_DAYS):
        seen.append(noise + (floor + (top - floor) * 0.5 ** (lead / half_life_days)) * y)
        noise = NOISE_OVER_TIME * noise + np.sqrt(1 - NOISE_OVER_TIME**2) * rng.normal(size=y.size)
    return seen


def study_cliff(auc: float, plateau: float, half_life_days: float, n_churners: int, *, runs: int, seed: int) -> float:
    """Share of runs in which a cliff is suspected."""
    rng, n_found = np.random.default_rng(seed), 0
    for run in range(runs):
        y = draw_labels(rng, n_churners)
        now, *earlier = draw_decay(rng, y, auc, plateau, half_life_days)
        frame = frame_of({"x": pa.array(now)}, y)
        rows = prepare_rows(frame, n_features=1, seed=run)
        lagged = [Lagged(t, pa.table({"x": each})) for t, each in zip(LEADS_DAYS, earlier, strict=True)]
        column = read_column(frame.features, Feature("x", FeatureKind.NUMERIC))
        n_found += probe_lead_time(column, rows, lagged) is not None
    return n_found / runs


CLIFFS = (  # AUC at lead 0, AUC long before, half-life in days
    (0.75, 0.5, 60.0),
    (0.75, 0.5, 30.0),
    (0.85, 0.5, 30.0),
    (0.85, 0.6, 30.0),
    (0.85, 0.6, 15.0),
    (0.95, 0.5, 30.0),
    (0.95, 0.6, 15.0),
    (0.85, 0.6, 7.0),
    (0.85, 0.6, 1.0),
    (0.95, 0.6, 1.0),
)


def measure_cost(n: int, n_features: int) -> float:
    """Seconds of processor for so many rows, three of an account, and features, a quarter of them with gaps."""
    rng = np.random.default_rng(0)
    columns = {
        f"x{i}": pa.array(rng.normal(size=n), mask=rng.random(n) < (0.1 if i % 4 == 0 else 0))
        for i in range(n_features)
    }
    y = (rng.random(n) < CHURN_RATE).astype(float)
    frame = frame_of(columns, y, rows_per_account=3)
    sides: npt.NDArray[np.str_] = rng.choice(np.array(["train", "validation", "test"]), n)
    started = time.process_time()
    find_leaks(frame, [Feature(name, FeatureKind.NUMERIC) for name in columns], seed=0, sides=sides)
    return time.process_time() - started


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print(f"{runs} runs each; one feature, 20 % churn\n{'feature':<18} {'churners':>8} {'certain':>8} {'found':>8}")
    for name, draw in SINGLE.items():
        for n_churners in (50, 200, 500):
            certain, found = study_single(draw, n_churners, runs=runs, seed=1)
            print(f"{name:<18} {n_churners:>8} {certain:>8.1%} {found:>8.1%}", flush=True)
    few = max(runs // 10, 1)
    print(
        f"\n200 features of noise, {few} runs each\n{'rows':>6} {'churn':>6} {'certain':>8} {'suspected':>10}  per run"
    )
    for n, rate in ((30, 0.3), (200, 0.1), (1000, 0.2), (1000, 0.5)):
        noise = study_noise(n, rate, n_features=200, runs=few, seed=2)
        print(f"{n:>6} {rate:>6.0%} {noise['certain']:>8.3f} {noise['suspected']:>10.3f}", flush=True)
    print(
        f"\ncliff, leads {LEADS_DAYS}\n{'AUC':>5} {'long before':>11} {'half-life':>9} {'churners':>8} {'suspected':>9}"
    )
    for auc, plateau, half_life in CLIFFS:
        for n_churners in (100, 1000):
            share = study_cliff(auc, plateau, half_life, n_churners, runs=runs, seed=3)
            print(f"{auc:>5.2f} {plateau:>11.2f} {half_life:>7.0f} d {n_churners:>8} {share:>9.1%}", flush=True)
    print(f"\n100,000 rows of 200 features: {measure_cost(100_000, 200):.1f} s of processor")


if __name__ == "__main__":
    main()
