"""Leaks: features that know the outcome, looked for before each training and whenever somebody asks."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from sqlalchemy import select

from app.db import Sessions
from app.errors import LeaksFound, TooMuchToLookAt
from app.ml.frame import Frame
from app.ml.leaks.find import find_leaks, find_twins
from app.ml.leaks.findings import Finding, Level, sort_findings, unaccepted
from app.ml.leaks.lead_time import Lagged
from app.schemas.facts import LeaksOut
from app.services.datasets import Datasets
from app.services.frames import Frames
from app.services.revisions import get_revision
from app.services.row_source import RowSource
from app.services.training_rows import TrainingRows, choose_instants, row_instants
from app.tables import Dataset, Revision, Training

MAX_SEEN_EARLIER = 20_000  # accounts whose features are looked up at instants before the newest one
# Cells that the service itself looks at: 1.6 GB of 8 bytes each, and for a while most of them twice, as the development
# rows are taken out of them. More is for a worker, whose memory is its own.
MAX_CELLS = 200_000_000
SEED = 0  # of samples and folds: the same rows give the same findings


class Leaks:
    """Tells of leaks without training."""

    def __init__(self, sessions: Sessions, datasets: Datasets, frames: Frames) -> None:
        self._sessions = sessions
        self._datasets = datasets
        self._frames = frames
        self._one_at_a_time = asyncio.Semaphore(1)  # each holds its rows in memory; others wait

    async def find(self, name: str | None) -> LeaksOut:
        """What the newest training of the newest revision found, else what its rows show now."""
        async with self._sessions() as session:
            dataset = await self._datasets.resolve(session, name)
            revision = await get_revision(session, dataset)
            trainings = select(Training).where(Training.revision_id == revision.id, Training.leaks.is_not(None))
            newest = (await session.scalars(trainings.order_by(Training.id.desc()).limit(1))).first()
        if newest is not None and not newest.config["training"]["exclude_features"]:
            return LeaksOut(dataset=dataset.name, revision=revision.number, job_id=newest.job_id, findings=newest.leaks)
        async with self._one_at_a_time:
            source = await self._frames.open(dataset, revision)
            await _require_few_cells(dataset, revision, source)
            rows = await self._frames.training_rows(dataset, source, keep_sides=False)
            found = [each.to_json() for each in await probe_rows(rows)]
        return LeaksOut(dataset=dataset.name, revision=revision.number, job_id=None, findings=found)


async def _require_few_cells(dataset: Dataset, revision: Revision, source: RowSource) -> None:
    """Refuse before anything is read; accounts that are not active count too, so this is from above."""
    n_instants, n_features = len((await choose_instants(dataset, source, None, None)).instants), len(source.features)
    n_cells = revision.n_accounts * n_instants * n_features
    if n_cells > MAX_CELLS:
        raise TooMuchToLookAt(
            f"Accounts, instants and features make up to {revision.n_accounts:,} x {n_instants:,} x {n_features:,} = "
            f"{n_cells:,} cells; {MAX_CELLS:,} are the most that are looked at while somebody waits."
        )


async def probe_rows(rows: TrainingRows) -> tuple[Finding, ...]:
    """Labels of development rows only are looked at; the test side lends its features, to find twins."""
    at = np.flatnonzero(rows.sides != "test")
    development, positions = rows.frame.take(at), await rows.source.positions(rows.frame)
    lagged = await _seen_earlier(rows.source, development)
    leaks = await asyncio.to_thread(
        find_leaks,
        development,
        rows.features,
        seed=SEED,
        lagged=lagged,
        source_positions=None if positions is None else positions[at],
    )
    twins = await asyncio.to_thread(find_twins, rows.frame, rows.features, rows.sides, seed=SEED)
    return sort_findings([*leaks, *twins])


async def _seen_earlier(source: RowSource, frame: Frame) -> list[Lagged]:
    """The rows of the newest instant as they were some days earlier, aligned to all rows."""
    if frame.as_of is None or not len(frame):
        return []
    at = row_instants(frame)
    newest = np.flatnonzero(at == at.max())[:MAX_SEEN_EARLIER]
    accounts = frame.accounts.take(pa.array(newest)).to_pylist()
    instant = frame.as_of[int(newest[0])].as_py()
    return [_aligned(frame, newest, days, seen) for days, seen in await source.earlier(instant, accounts)]


def _aligned(frame: Frame, rows: np.ndarray[tuple[int], np.dtype[np.int64]], days: float, earlier: Frame) -> Lagged:
    place = {account: at for at, account in enumerate(earlier.accounts.to_pylist())}
    found = np.full(len(frame), -1, dtype=np.int64)
    found[rows] = [place.get(account, -1) for account in frame.accounts.take(pa.array(rows)).to_pylist()]
    seen = found >= 0
    return Lagged(days, earlier.features.take(pa.array(found, mask=~seen)), seen)


def require_no_leaks(findings: Sequence[Finding], accepted: Sequence[str]) -> list[str]:
    """Sentences on what does not stop the training, also on what is accepted in vain.

    Raises
    ------
    LeaksFound
        With the certain findings that nobody has accepted.
    """
    stopping = unaccepted(findings, accepted)
    if stopping:
        names = ", ".join(each.name for each in stopping[:5]) + (" and others" if len(stopping) > 5 else "")
        detail = f"{names}: {stopping[0].sentence} {stopping[0].remedy}"
        raise LeaksFound(detail, findings=[each.to_json() for each in stopping[:50]])
    words = {Level.CERTAIN: "Accepted leak", Level.SUSPECTED: "Suspected leak"}
    told = [f"{words[each.level]} {each.name}: {each.sentence}" for each in findings]
    vain = sorted(set(accepted) - {each.name for each in findings})
    return [*told, *(f"accept_leaks names {name}, which was not found." for name in vain)]
