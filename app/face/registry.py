"""The registry of versions, from training to production: the services of a version's life as plain calls."""

from dataclasses import dataclass
from typing import Any, Literal

from app.caller import actor
from app.container import Services
from app.errors import Conflict
from app.face.model import ChurnModel
from app.face.store import OnStore, request
from app.face.training import TrainedModel
from app.schemas.config import EvaluationConfig, ModelConfig, TrainingConfig
from app.schemas.evaluation import CheckOut, EvaluateIn, EvaluationOut
from app.schemas.models import CompareOut, RegisteredOut, RegisterIn, VersionDetailOut, VersionOut
from app.schemas.promotions import PromoteIn, PromotionOut, RollbackIn
from app.schemas.training import TrainIn

VersionName = int | str  # a number, or champion, challenger, latest


@dataclass(frozen=True)
class StoredTraining:
    """A training that the store keeps, and MLflow knows.

    Attributes
    ----------
    job_id : by which `register_model` finds it
    version : its number, where it was registered at once
    metrics : of the model by side, at the top those of the test side; its ROC AUC is also `auc`
    improvement_over_baseline : test AUC of the model minus that of the baseline
    summary : how it compares with its baseline, in words
    warnings : sentences
    result : all that the job says
    """

    job_id: int
    version: int | None
    metrics: dict[str, Any]
    improvement_over_baseline: float
    summary: str
    warnings: list[str]
    result: dict[str, Any]


class StoredJudgement(EvaluationOut):
    """A verdict of the gate that the store keeps."""

    def get_failed_checks(self) -> list[CheckOut]:
        """The checks whose verdict is `fail`."""
        return [check for check in self.checks if check.verdict == "fail"]


class ModelRegistry(OnStore):
    """The versions of a store: trains, registers, judges, promotes, loads and compares them.

    Parameters
    ----------
    engine : str, URL, Engine, AsyncEngine, Store or None
        Where the versions are; see `Store`. Close the registry, or use it in a `with` block.

    Examples
    --------
    >>> with ModelRegistry(url) as registry:
    ...     trained = registry.train_model(
    ...         ModelConfig(model_type="logistic"), TrainingConfig(shap=False), register=True
    ...     )
    ...     judgement = registry.evaluate_model(trained.version)
    ...     entry = registry.promote_model(trained.version, reason="first model")
    ...     model = registry.load_production_model()
    >>> judgement.recommendation, entry.to_version == model.version == trained.version
    ('promote', True)
    """

    def train_model(
        self,
        config: ModelConfig | None = None,
        training: TrainingConfig | None = None,
        *,
        dataset: str | None = None,
        register: bool = False,
        description: str | None = None,
    ) -> StoredTraining:
        """Train on a dataset of the store, as `POST /train` does; what is not given comes from its defaults.

        Raises
        ------
        app.errors.HoldfastError
            Such as `LeaksFound`, where a column knows the outcome.
        """
        body = request(
            TrainIn, dataset=dataset, model=config, training=training, register=register, description=description
        )
        result = self.store.finish(lambda services: services.training.submit(body, actor=actor()))
        return _stored(result)

    def register_model(
        self,
        trained: StoredTraining | TrainedModel | int,
        *,
        model: Literal["primary", "baseline"] = "primary",
        dataset: str | None = None,
        description: str | None = None,
    ) -> RegisteredOut:
        """Make a trained model a version; asked again, it is the same version.

        Parameters
        ----------
        trained : StoredTraining, TrainedModel or int
            A training of this store, by itself or by its job. Of a model trained on a frame that
            `create_training_dataset` gave, the store trains again with its configs, and compares: only what it can
            make itself of the same rows and sides is registered.
        model : 'primary' or 'baseline'
            The model asked for, or its baseline.
        dataset : str, optional
            Of a TrainedModel, the dataset that its rows are from.
        description : str, optional
            What this version is, in words.

        Raises
        ------
        app.errors.Conflict
            Where the rows of the store are not those that the model was trained on.
        """
        job_id = trained if isinstance(trained, int) else self._job_of(trained, dataset)
        body = request(RegisterIn, job_id=job_id, model=model, description=description)
        return self.store.run(lambda services: services.models.register(body, actor=actor()))

    def _job_of(self, trained: StoredTraining | TrainedModel, dataset: str | None) -> int:
        if isinstance(trained, StoredTraining):
            return trained.job_id
        again = self.train_model(trained.config, trained.training, dataset=dataset)
        found, expected = again.result["primary"]["training_data_hash"], trained.training_data_hash
        if found != expected:
            raise Conflict(
                f"The store's rows, sides or columns are not those that the model was trained on: their hash is "
                f"{found[:12]}, not {expected[:12]}.",
                hint="Train on what create_training_dataset gives, with its accounts, as_of and sides, and register "
                "it before newer rows arrive; or register the training that the store has made of its own rows.",
                job_id=again.job_id,
            )
        return again.job_id

    def evaluate_model(
        self,
        version: VersionName | None = None,
        config: EvaluationConfig | None = None,
        *,
        dataset: str | None = None,
        revision: int | None = None,
    ) -> StoredJudgement:
        """Have the gate judge a version, by default the latest; under another bar than the one in force, as advice."""
        body = request(EvaluateIn, evaluation=config, revision=revision)
        number = self._number(version or "latest", dataset)
        result = self.store.finish(lambda services: services.evaluation.submit(number, body, actor=actor()))
        return StoredJudgement.model_validate(result)

    def promote_model(
        self,
        version: VersionName | None = None,
        stage: Literal["Production", "Staging"] = "Production",
        *,
        force: bool = False,
        reason: str | None = None,
        dataset: str | None = None,
    ) -> PromotionOut:
        """Put a version, by default the latest, in a stage; Production needs a verdict of the gate that recommends it.

        Raises
        ------
        app.errors.NotEvaluated, app.errors.GateNotPassed, app.errors.StaleEvaluation
            Where there is no such verdict, it does not recommend the version, or it no longer holds. `force`, with a
            reason, passes over all three, and is marked in the ledger.
        """
        body = request(PromoteIn, stage=stage, force=force, reason=reason)
        number = self._number(version or "latest", dataset)
        return self.store.run(lambda services: services.promotion.promote(number, body, if_match=None, actor=actor()))

    def rollback(self, *, reason: str, version: int | None = None, dataset: str | None = None) -> PromotionOut:
        """Go back to a version that was in Production before, by default the one before the champion."""
        body = request(RollbackIn, dataset=dataset, version=version, reason=reason)
        return self.store.run(lambda services: services.promotion.rollback(body, if_match=None, actor=actor()))

    def load_production_model(self, *, dataset: str | None = None) -> ChurnModel:
        """The champion, ready to score frames.

        Raises
        ------
        app.errors.NothingInProduction
            Where the dataset has none.
        """
        return self.load_model("champion", dataset=dataset)

    def load_model(self, version: VersionName, *, dataset: str | None = None) -> ChurnModel:
        """Any version, ready to score frames; its bytes are checked against their hash."""
        number = self._number(version, dataset)
        scorer = self.store.run(lambda services: services.bundles.load(number))
        return ChurnModel(scorer.bundle, version=number)

    def compare(self, a: VersionName, b: VersionName, *, dataset: str | None = None) -> CompareOut:
        """Two versions side by side: metrics, parameters, features, data, and how scores moved between them."""
        return self.store.run(lambda services: services.comparison.compare(str(a), str(b), dataset))

    def get(self, version: VersionName, *, dataset: str | None = None) -> VersionDetailOut:
        """Everything about one version."""
        return self.store.run(lambda services: services.models.get(str(version), dataset))

    def history(self, *, dataset: str | None = None, limit: int = 50) -> list[VersionOut]:
        """The versions, newest first; `pd.DataFrame([each.model_dump() for each in history])` makes a frame."""

        async def action(services: Services) -> list[VersionOut]:
            return (await services.models.list_models(dataset=dataset, limit=limit, cursor=None)).items

        return self.store.run(action)

    def _number(self, version: VersionName, dataset: str | None) -> int:
        return version if isinstance(version, int) else self.get(version, dataset=dataset).version


def _stored(result: dict[str, Any]) -> StoredTraining:
    metrics = result["primary"]["metrics"]
    return StoredTraining(
        job_id=result["job_id"],
        version=result["version"],
        metrics={**metrics["test"], "auc": metrics["test"]["roc_auc"], **metrics},
        improvement_over_baseline=result["improvement_over_baseline"],
        summary=result["summary"],
        warnings=result["warnings"],
        result=result,
    )
