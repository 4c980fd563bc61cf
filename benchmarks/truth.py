"""What a model that is trained on simulated facts knows of the truth, and which planted leaks are found.

Run: python -m benchmarks.truth [--accounts 100000] [--seeds 5] [--leak-accounts 20000], on a private PostgreSQL.
"""

import argparse
import asyncio
import os
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr

from app.container import Services, open_services, open_store
from app.ml.frame import Floats
from app.ml.leaks.findings import Finding, Level
from app.ml.scorer import Scorer
from app.ml.trainer import FittedModel, train
from app.schemas.config import ModelConfig, TrainingConfig
from app.services.leaks import probe_rows
from app.services.row_source import RowSource
from app.services.training_rows import TrainingRows
from app.simulator import LEAKS, SimulatorConfig
from app.simulator.blocks import truth_blocks
from app.stats.ranking import auc
from benchmarks.business import bring, find, private_home

NAME = "business"
HONEST = "none"
CHUNK_SIZE = 50_000
N_BANDS = 10
N_TOLD = 6  # findings
CLIP = 1e-4  # a truth of 0 has no log-odds

# The feature by which each leak shows itself; see docs/simulator.md.
SHOWN_BY = {
    "status_code": "account_status_code",
    "refund": "days_since_refund",
    "end_epoch": "touched_epoch",
    "label_copy": "retention_flag",
    "offboarding": "offboarding",
    "id_order": "account_id",
}


def shows(leak: str, finding: Finding) -> bool:
    """Whether the finding is of a feature that the leak has written."""
    of = SHOWN_BY[leak]
    return finding.feature == of or (of == "offboarding" and of in finding.feature)


def fit(rows: TrainingRows) -> FittedModel:
    """XGBoost by the service's recipe."""
    training = TrainingConfig(shap=False)
    n_threads = os.cpu_count() or 1
    result = train(
        rows.frame,
        rows.sides,
        rows.features,
        ModelConfig(),
        training,
        profile_rows=rows.profile_rows,
        progress=_quiet,
        n_threads=n_threads,
        plan=rows.source.plan,
    )
    return result.primary


def _quiet(step: str, share: float) -> None:
    """Nobody looks."""


async def score_active(source: RowSource, scorer: Scorer) -> dict[str, float]:
    """The calibrated probability of every active account."""
    found: dict[str, float] = {}
    async for frame in source.active_chunks(chunk_size=CHUNK_SIZE):
        p = await asyncio.to_thread(scorer.score, frame.features)
        found.update(zip(frame.accounts.to_pylist(), p.tolist(), strict=True))
    return found


def true_of(config: SimulatorConfig, as_of: datetime, accounts: set[str]) -> dict[str, float]:
    """The simulator's own probability of those accounts that are customers."""
    found: dict[str, float] = {}
    for block in truth_blocks(config, as_of):
        told = zip(block["account_id"].to_pylist(), block["p"].to_pylist(), strict=True)
        found.update({account: p for account, p in told if account in accounts})
    return found


def log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))


def tell_agreement(p: Floats, truth: Floats) -> None:
    """Correlation, level, slope, and the mean truth by decile of the score."""
    slope = np.polyfit(log_odds(p), log_odds(truth), 1)[0]
    print(
        f"{p.size:,} active accounts: Pearson {np.corrcoef(p, truth)[0, 1]:.3f}, Spearman {spearmanr(p, truth)[0]:.3f};"
        f" mean score {p.mean():.4f}, mean truth {truth.mean():.4f}, difference {p.mean() - truth.mean():+.4f};"
        f" slope of truth on score in log-odds {slope:.3f}"
    )
    print(f"{'decile':>6} {'mean score':>10} {'mean truth':>10}")
    for number, band in enumerate(np.array_split(np.argsort(p, kind="stable"), N_BANDS), 1):
        print(f"{number:>6} {p[band].mean():>10.4f} {truth[band].mean():>10.4f}")


def tell_past(rows: TrainingRows, config: SimulatorConfig, scorer: Scorer) -> None:
    """On the test side, at its newest instant: how well the model, and the truth, rank what happened."""
    if rows.as_of is None or rows.frame.as_of is None:
        raise ValueError("simulated facts are dated")
    of_instant = pa.compute.equal(rows.frame.as_of, pa.scalar(rows.as_of, rows.frame.as_of.type))
    taken = np.flatnonzero(np.asarray(of_instant) & (rows.sides == "test"))
    frame = rows.frame.take(taken)
    ids, y = frame.accounts.to_pylist(), np.asarray(frame.churned)
    known = true_of(config, rows.as_of, set(ids))
    truth, p = np.array([known[each] for each in ids]), np.asarray(scorer.score(frame.features), dtype=np.float64)
    print(
        f"outcomes after {rows.as_of:%Y-%m-%d}: {y.size:,} accounts, {y.mean():.2%} churned; AUC of the truth"
        f" {auc(y, truth):.4f}, of the model {auc(y, p):.4f}; mean truth {truth.mean():.4f}, mean score {p.mean():.4f}"
    )


async def meet_truth(services: Services, n_accounts: int) -> None:
    """A model against the truth, as of the end of the facts."""
    config = SimulatorConfig(n_accounts=n_accounts)
    await bring(services, config, NAME)
    rows = await _open(services, NAME)
    counts = dict(Counter(rows.sides.tolist()))
    print(f"rows: {counts}, {len(rows.features)} features; test {rows.split['instants']['test']}", flush=True)
    began = time.perf_counter()
    fitted = await asyncio.to_thread(fit, rows)
    scorer = Scorer(fitted.bundle, n_threads=os.cpu_count() or 1)
    print(f"trained in {time.perf_counter() - began:.0f} s, {fitted.n_rounds} rounds", flush=True)
    tell_past(rows, config, scorer)
    scores = await score_active(rows.source, scorer)
    end = await rows.source.active_instant()
    truth = true_of(config, (end or config.end).astimezone(UTC), set(scores))
    both = sorted(set(scores) & set(truth))
    print(f"as of {end:%Y-%m-%d}: {len(scores):,} scored, {len(both):,} of them customers of the simulator", flush=True)
    tell_agreement(np.array([scores[each] for each in both]), np.array([truth[each] for each in both]))


async def _open(services: Services, name: str) -> TrainingRows:
    dataset, revision = await find(services, name)
    source = await services.frames.open(dataset, revision)
    return await services.frames.training_rows(dataset, source, keep_sides=False)


async def probe(services: Services, leak: str, seed: int, n_accounts: int) -> tuple[Finding, ...]:
    """What the service says of facts with this leak, before it would train."""
    leaks = () if leak == HONEST else (leak,)
    config = SimulatorConfig(n_accounts=n_accounts, seed=seed, leaks=leaks)
    name = f"{leak.replace('_', '-')}-{seed}"
    await bring(services, config, name, quiet=True)
    return await probe_rows(await _open(services, name))


async def find_planted(services: Services, leak: str, n_seeds: int, n_accounts: int) -> None:
    """Of so many businesses with a leak, in how many it is certain, found at all, and what else is said."""
    certain = found = 0
    said: Counter[str] = Counter()
    for seed in range(1, 1 + n_seeds):
        findings = await probe(services, leak, seed, n_accounts)
        mine = findings if leak == HONEST else [each for each in findings if shows(leak, each)]
        certain += any(each.level is Level.CERTAIN for each in mine)
        found += bool(mine)
        said.update(f"{each.name} {each.level.value}" for each in findings)
    listed = ", ".join(f"{name} ({n})" for name, n in said.most_common(N_TOLD))
    more = f" and {len(said) - N_TOLD} more" if len(said) > N_TOLD else ""
    print(f"{leak:<12} {certain:>3} of {n_seeds} {found:>3} of {n_seeds}  {listed}{more}", flush=True)


@asynccontextmanager
async def fresh_store() -> AsyncIterator[Services]:
    """A store that goes with everything in it."""
    with private_home(None) as settings:
        async with open_store(settings) as url, open_services(settings, url) as services:
            yield services


async def measure(given: argparse.Namespace) -> None:
    if given.accounts:
        async with fresh_store() as services:
            await meet_truth(services, given.accounts)
    if given.seeds:
        print(f"\n{given.seeds} seeds x {given.leak_accounts:,} accounts")
        print(f"{'leak':<12} {'certain':>8} {'found':>8}  findings (seeds)")
        for leak in (HONEST, *LEAKS):
            async with fresh_store() as services:
                await find_planted(services, leak, given.seeds, given.leak_accounts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000, help="0: only the leaks")
    parser.add_argument("--seeds", type=int, default=5, help="0: only the truth")
    parser.add_argument("--leak-accounts", type=int, default=20_000)
    given = parser.parse_args()
    asyncio.run(measure(given))


if __name__ == "__main__":
    main()
