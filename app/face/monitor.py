"""The monitor: drift between two frames, or the whole check of what runs on a store."""

from collections.abc import Sequence
from typing import overload

import numpy as np

from app.caller import actor
from app.errors import ConfigurationError
from app.face.columns import FrameError, Rows, read_columns, read_known_columns
from app.face.model import ChurnModel
from app.face.registry import ModelRegistry
from app.face.rows import make_frame
from app.face.store import Closing, EngineLike, request
from app.face.training import TrainedModel
from app.ml.drift import DriftReport, check_drift
from app.ml.frame import Feature, Floats, Frame
from app.ml.profile import Profile, build_profile, count_frame
from app.schemas.config import MonitoringConfig
from app.schemas.monitoring import MonitorIn, MonitorOut


class ModelMonitor(Closing):
    """Compares what is scored now with what a model learned from; on a store also what it said with what happened.

    Parameters
    ----------
    engine : str, URL, Engine, AsyncEngine or Store, optional
        A store; see `Store`. It may be left out: `ModelMonitor(MonitoringConfig())` compares frames.
    config : MonitoringConfig, optional
        Floors, minimum sample, false-discovery rate; on a store what is not given comes from the dataset's defaults.

    Examples
    --------
    >>> moved = X.assign(tenure=X["tenure"] + 20)
    >>> report = ModelMonitor(MonitoringConfig()).check_drift(moved, X)
    >>> report.health_status
    <HealthStatus.CRITICAL: 'critical'>
    >>> report.recommended_actions[0]
    'tenure drifted (critical, PSI 3.83): check whether its source or the customer base changed.'
    """

    @overload
    def __init__(self, engine: MonitoringConfig | None = None) -> None: ...
    @overload
    def __init__(self, engine: EngineLike, config: MonitoringConfig | None = None) -> None: ...

    def __init__(self, engine: EngineLike | MonitoringConfig = None, config: MonitoringConfig | None = None) -> None:
        self._registry: ModelRegistry | None = None
        given = engine if isinstance(engine, MonitoringConfig) else config
        self.config = MonitoringConfig.model_validate({} if given is None else given)
        if engine is not None and not isinstance(engine, MonitoringConfig):
            self._registry = ModelRegistry(engine)

    def check_drift(
        self,
        current: Rows,
        reference: Rows | TrainedModel | ChurnModel | None = None,
        *,
        model: ChurnModel | TrainedModel | None = None,
    ) -> DriftReport:
        """Compare rows with a reference, feature by feature, and in the score where a model gives it.

        Parameters
        ----------
        current : DataFrame or pyarrow Table
            The accounts that are scored now.
        reference : DataFrame, Table, TrainedModel, ChurnModel or None
            Earlier rows; or a model, whose own profile of the rows it learned from is taken. None: the champion of
            the store.
        model : ChurnModel or TrainedModel, optional
            With a reference frame: it scores both, and its features alone are compared.

        Returns
        -------
        DriftReport
            `.health_status`, `.recommended_actions`, `.features`, `.score`, `.n_drifted`, `.n_critical`.

        Raises
        ------
        FrameError
            A ValueError naming the column that is missing or holds something else than before.
        """
        if reference is None:
            if self._registry is None:
                raise FrameError("reference is needed: earlier rows, or the model that scores these")
            reference = self._registry.load_production_model()
        if isinstance(reference, TrainedModel | ChurnModel):
            known = _model(reference)
            return self._compare(known.bundle.profile, current, known)
        scorer = None if model is None else _model(model)
        features = read_columns(reference)[1] if scorer is None else scorer.features
        before = _frame(reference, features)
        return self._compare(build_profile(before, features, _scores(before, scorer)), current, scorer)

    def check(self, *, dataset: str | None = None, run: int | None = None, save: bool = False) -> MonitorOut:
        """The whole check of the champion on the store: drift, tiers, and what came of the accounts it scored.

        Parameters
        ----------
        dataset : str, optional
            May be left out while there is only one.
        run : int, optional
            A scoring run; by default the newest one of the champion.
        save : bool
            Also write a row in `monitoring_log`.

        Raises
        ------
        app.errors.NothingScored, app.errors.NothingInProduction
            Where there is nothing to look at.
        """
        if self._registry is None:
            raise ConfigurationError("This monitor has no store.", hint="Give it one: ModelMonitor(engine, config).")
        given = self.config if self.config.model_fields_set else None
        body = request(MonitorIn, dataset=dataset, run=run, save=save, monitoring=given)
        return MonitorOut.model_validate(
            self._registry.store.finish(lambda services: services.monitoring.submit(body, actor=actor()))
        )

    def close(self) -> None:
        """Give back what was opened."""
        if self._registry is not None:
            self._registry.close()

    def _compare(self, profile: Profile, current: Rows, model: ChurnModel | None) -> DriftReport:
        known = [Feature(each.name, each.kind) for each in profile.features]
        now = _frame(current, known)
        return check_drift(profile, count_frame(profile, now, _scores(now, model)), self.config)


def _model(given: ChurnModel | TrainedModel) -> ChurnModel:
    return given.model if isinstance(given, TrainedModel) else given


def _frame(X: Rows, features: Sequence[Feature]) -> Frame:
    return make_frame(read_known_columns(X, features), X, None, None)


def _scores(frame: Frame, model: ChurnModel | None) -> Floats:
    """Probabilities of the rows; none where there is no model."""
    return np.empty(0) if model is None else model.predict_proba(frame.features)[:, 1]
