"""Searches as the service sees them: what is refused beforehand, and trials as rows."""

import asyncio
from collections.abc import Callable

from sqlalchemy import delete, select

from app.db import Sessions
from app.errors import FieldError, InvalidRequest
from app.ml.search_space import SpaceError, resolve_space
from app.ml.trials import Trial, TrialState
from app.schemas.config import ModelConfig, TrainingConfig
from app.services.jobs import JobContext
from app.tables import SearchTrial

# Where the steps of a fit with a search begin and end, as shares of the whole job: the search takes longest.
PROGRESS = {
    "encode": (0.05, 0.1),
    "search": (0.1, 0.6),
    "fit model": (0.6, 0.7),
    "fit baseline": (0.7, 0.8),
    "report": (0.8, 0.85),
}


def require_searchable(model: ModelConfig, training: TrainingConfig) -> None:
    """Refuse a search among parameters or values that the kind of model does not take.

    Raises
    ------
    InvalidRequest
        With a pointer to the first of them.
    """
    if training.search is None:
        return
    try:
        resolve_space(model, training.search)
    except SpaceError as error:
        pointer = "/".join(["/training/search", *filter(None, error.key.split("."))])
        errors = [FieldError(pointer, error.reason)]
        raise InvalidRequest(f"That can't be searched: {pointer}: {error.reason}.", errors=errors) from error


class SearchTrials:
    """The trials of the searches of jobs."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def read(self, job_id: int) -> list[Trial]:
        """The trials of all attempts at the job so far, in order."""
        query = select(SearchTrial).where(SearchTrial.job_id == job_id).order_by(SearchTrial.number)
        async with self._sessions() as session:
            return [_trial(row) for row in await session.scalars(query)]

    async def store(self, context: JobContext, trial: Trial) -> None:
        """Keep a trial that has ended, while the attempt is the newest; trials on other rows are of the past."""
        async with self._sessions.begin() as session:
            await context.guard(session)
            outdated = (SearchTrial.job_id == context.id, SearchTrial.rows_hash != trial.rows_hash)
            await session.execute(delete(SearchTrial).where(*outdated))
            session.add(_row(context.id, trial))

    def store_from_thread(self, context: JobContext) -> Callable[[Trial], None]:
        """For a search in a thread beside this event loop: each trial is stored before the next begins."""
        loop = asyncio.get_running_loop()
        return lambda trial: asyncio.run_coroutine_threadsafe(self.store(context, trial), loop).result()


def _trial(row: SearchTrial) -> Trial:
    return Trial(
        number=row.number,
        params=row.params,
        state=TrialState(row.state),
        log_loss=row.log_loss,
        fold_losses=tuple(row.fold_losses),
        n_rounds=row.n_rounds,
        seconds=row.seconds,
        rows_hash=row.rows_hash,
        error=row.error,
    )


def _row(job_id: int, trial: Trial) -> SearchTrial:
    return SearchTrial(
        job_id=job_id,
        number=trial.number,
        params=dict(trial.params),
        state=trial.state.value,
        log_loss=trial.log_loss,
        fold_losses=list(trial.fold_losses),
        n_rounds=trial.n_rounds,
        seconds=trial.seconds,
        rows_hash=trial.rows_hash,
        error=trial.error,
    )
