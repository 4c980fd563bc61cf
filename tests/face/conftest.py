"""A store with the sample in it, for the calls that need one."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from anyio.from_thread import start_blocking_portal
from sqlalchemy import make_url

from app.caller import actor
from app.cli.data import import_file
from app.sample import make_sample, write_csv
from app.schemas.config import ModelConfig, TrainingConfig
from app.settings import Settings
from app.worker import running_worker
from holdfast import ModelTrainer, Store, TrainedModel
from tests.face.frames import planted_frame
from tests.postgres import new_database

N_ACCOUNTS = 2500
DESCRIBED = {
    "id_column": "account_id",
    "label_column": "churned",
    "positive_value": "true",
    "as_of_column": "as_of",
    "horizon_days": 60,
    "split_seed": 1,
}


@pytest.fixture(scope="session")
def frame() -> tuple[pd.DataFrame, "pd.Series[int]"]:
    return planted_frame()


@pytest.fixture(scope="session")
def trained(frame: tuple[pd.DataFrame, "pd.Series[int]"]) -> TrainedModel:
    return ModelTrainer(ModelConfig(model_type="logistic"), TrainingConfig(shap=False)).train(*frame)


@pytest.fixture(scope="session")
def filled_template(
    postgres_url: str, tracked_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a store with the sample in it, to be cloned."""
    folder = tmp_path_factory.mktemp("sample")
    with new_database(postgres_url, template=tracked_template) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(folder / "home"))
        fill(url, folder)
        yield make_url(url).database or ""


@pytest.fixture
def store_url(
    postgres_url: str, filled_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a store as people write it, with the sample in it; nothing of ours is left at the end."""
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOLDFAST_N_THREADS", "1")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with new_database(postgres_url, template=filled_template) as url:
        yield url.replace("postgresql+asyncpg", "postgresql")
    assert not [each for each in threading.enumerate() if each.name == "holdfast-store"]


@pytest.fixture
def worked_url(store_url: str, tmp_path: Path) -> Iterator[str]:
    """As `store_url`, with a worker beside, so that no call needs one of its own."""
    url = store_url.replace("postgresql", "postgresql+asyncpg")
    worker = running_worker(Settings(database_url=url, home=tmp_path / "home"), url)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(worker):
        yield store_url


def fill(url: str, folder: Path) -> None:
    """Both months of the sample; of the later one no outcome is known yet."""
    sample, who = make_sample(N_ACCOUNTS), actor()
    with Store(url) as store:
        for name, table in (("march.csv", sample.snapshots), ("june.csv", sample.later)):
            file, described = folder / name, {} if table is sample.later else DESCRIBED
            write_csv(table, file)
            append = table is sample.later
            store.run(partial(import_file, file=file, name="sample", described=described, append=append, actor=who))


def children() -> list[psutil.Process]:
    """The processes that this one has started."""
    found: list[psutil.Process] = psutil.Process().children()
    return found
