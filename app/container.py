"""Services: everything built once; used by the web application, the worker, the CLI and the tests alike."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db import Engine, make_engine, make_sessions, migrate
from app.registry import Registry, artifact_root_uri
from app.services.aliases import AliasMirror
from app.services.bundles import Bundles
from app.services.champions import Champions
from app.services.comparison import Comparison
from app.services.datasets import Datasets
from app.services.dry_run import DryRuns
from app.services.evaluation import Evaluations
from app.services.facts import Facts
from app.services.features import Features
from app.services.frames import Frames
from app.services.gate import GatePolicies
from app.services.health import Health
from app.services.jobs import Handler, Jobs
from app.services.leaks import Leaks
from app.services.models import Models
from app.services.monitoring import Monitoring
from app.services.online import Online
from app.services.outcomes import Outcomes
from app.services.promotion import Promotions
from app.services.rejudging import REJUDGE
from app.services.scores import Scores
from app.services.scoring import Scoring
from app.services.training import Trainings
from app.services.uploads import Uploads
from app.settings import Settings


class Services:
    """The services on one database."""

    def __init__(self, settings: Settings, database_url: str, engine: Engine) -> None:
        self.settings = settings
        self.database_url = database_url
        self.engine = engine
        self.sessions = make_sessions(engine)
        self.health = Health(self.sessions, heartbeat_timeout_seconds=settings.heartbeat_timeout_seconds)
        self.jobs = Jobs(self.sessions, heartbeat_timeout_seconds=settings.heartbeat_timeout_seconds)
        self.datasets = Datasets(self.sessions, settings)
        self.uploads = Uploads(self.sessions, self.datasets, max_upload_bytes=settings.max_upload_bytes)
        self.facts = Facts(self.sessions, self.datasets, max_upload_bytes=settings.max_upload_bytes)
        self.features = Features(self.sessions, self.datasets)
        self.frames = Frames(self.sessions)
        self.leaks = Leaks(self.sessions, self.datasets, self.frames)
        self._add_models(settings, database_url)
        self._add_scoring(settings)

    def _add_models(self, settings: Settings, database_url: str) -> None:
        """The services of a version's life."""
        self.registry = Registry(database_url, artifact_root_uri(settings.artifact_root, settings.home))
        self.aliases = AliasMirror(self.sessions, registry=self.registry, jobs=self.jobs)
        self.bundles = Bundles(self.sessions, n_threads=settings.n_threads or os.cpu_count() or 1)
        self.champions = Champions(self.sessions, self.bundles, poll_seconds=settings.champion_poll_seconds)
        self.models = Models(self.sessions, datasets=self.datasets, jobs=self.jobs)
        self.comparison = Comparison(self.sessions, self.models)
        self.promotion = Promotions(self.sessions, settings, datasets=self.datasets, jobs=self.jobs)
        self.gate = GatePolicies(self.sessions, settings, datasets=self.datasets)
        self.dry_runs = DryRuns(self.sessions, settings, datasets=self.datasets)
        self.training = Trainings(
            self.sessions,
            settings,
            datasets=self.datasets,
            frames=self.frames,
            jobs=self.jobs,
            bundles=self.bundles,
            registry=self.registry,
            aliases=self.aliases,
        )
        self.evaluation = Evaluations(
            self.sessions,
            settings,
            frames=self.frames,
            models=self.models,
            bundles=self.bundles,
            jobs=self.jobs,
        )

    def _add_scoring(self, settings: Settings) -> None:
        """What a version says of accounts, and whether it came true."""
        self.scores = Scores(self.sessions, self.datasets, self.models)
        self.outcomes = Outcomes(self.sessions, self.datasets)
        self.scoring = Scoring(
            self.engine,
            self.sessions,
            settings,
            datasets=self.datasets,
            frames=self.frames,
            models=self.models,
            bundles=self.bundles,
            jobs=self.jobs,
        )
        self.online = Online(
            self.sessions,
            settings,
            datasets=self.datasets,
            frames=self.frames,
            models=self.models,
            bundles=self.bundles,
            champions=self.champions,
        )
        self.monitoring = Monitoring(
            self.sessions,
            settings,
            datasets=self.datasets,
            models=self.models,
            bundles=self.bundles,
            frames=self.frames,
            jobs=self.jobs,
        )

    @property
    def handlers(self) -> dict[str, Handler]:
        """What works on each kind of job."""
        return {
            "train": self.training.run,
            "evaluate": self.evaluation.run,
            REJUDGE: self.evaluation.run,
            "score": self.scoring.run,
            "monitor": self.monitoring.run,
            "mirror_aliases": self.aliases.run,
        }


@asynccontextmanager
async def open_services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """Services on a database that is reachable and migrated; connections are closed at the end."""
    engine = make_engine(database_url, settings)
    try:
        yield Services(settings, database_url, engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[str]:
    """The URL of the store, migrated: the one of the settings, or a private PostgreSQL below the home folder."""
    if settings.database_url:
        await asyncio.to_thread(migrate, settings.database_url)
        yield settings.database_url
        return
    from app.embedded import EmbeddedPostgres  # its search for binaries is not wanted where a URL is given

    server = EmbeddedPostgres(settings.home)
    url = await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(migrate, url)
        yield url
    finally:
        server.stop()  # not in a thread: as the interpreter ends none can be begun
