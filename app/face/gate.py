"""The gate on frames: the service's own judgement of a model trained on a frame."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.face.columns import FrameError, Rows, Values, read_columns, read_known_columns, read_labels
from app.face.folds import Refit, refit_recipes
from app.face.model import ChurnModel
from app.face.rows import make_frame
from app.face.training import TrainedModel
from app.ml.frame import Floats, Frame
from app.ml.gate import Evidence, Judgement, Production, judge
from app.ml.instants import Bools, fair_rows
from app.ml.kinds.models import ModelKind
from app.ml.kinds.params import asked_params
from app.ml.leaks.findings import suspicions
from app.ml.segments import cut_segments
from app.schemas.config import EvaluationConfig
from app.services.training_rows import among, row_instants

_UNFAIR = (
    "it learned from the accounts of all these rows, or from what happened after their instant. Judge on other rows, "
    "X_test and y_test."
)


class EvaluationGate:
    """Judges a trained model by six checks, and those that the bar asks for beside them, and says what to do with it.

    Parameters
    ----------
    config : EvaluationConfig
        The bar.

    Examples
    --------
    >>> judgement = EvaluationGate(EvaluationConfig(min_auc=0.6)).evaluate(result)
    >>> judgement.recommendation.value in ("promote", "hold", "reject")
    True
    >>> [check.name for check in judgement.checks][:2]
    ['thresholds', 'improvement_over_baseline']
    >>> [check.name for check in judgement.get_failed_checks()]
    []
    """

    def __init__(self, config: EvaluationConfig | None = None) -> None:
        self.config = EvaluationConfig.model_validate({} if config is None else config)

    def evaluate(
        self,
        result: TrainedModel,
        X_test: Rows | None = None,
        y_test: Values | None = None,
        *,
        accounts: Values | None = None,
        as_of: Values | None = None,
        active: Rows | None = None,
        production: TrainedModel | ChurnModel | None = None,
    ) -> Judgement:
        """Judge on rows of which the model has learned nothing; by default on those of its own test side.

        Where that side has under 200 churners, the recipe is judged beside it, refitted in folds over all rows of the
        training, unless the bar says `evidence="test_side"`. Other rows that are given judge the model alone.

        Parameters
        ----------
        result : TrainedModel
            What `ModelTrainer.train` gave.
        X_test, y_test : optional
            Other rows and their labels.
        accounts, as_of : optional
            Of X_test, as in `ModelTrainer.train`; the unit of evidence is the account. Needed where the training
            had them: by them it is known which rows are fair to the model.
        active : optional
            The accounts that are scored today, for the checks of the distribution and of the list. By default the
            judging rows of accounts that stayed, or in dated data those of the newest instant.
        production : TrainedModel or ChurnModel, optional
            What is in production now. Of a ChurnModel it is not known what it learned from: see to it that the rows
            are fair to it too; nor is its recipe known, so nothing is refitted. Sentences call it version 0 where it
            has no number.

        Returns
        -------
        Judgement
            `.recommendation`, `.checks`, `.get_failed_checks()`, `.provisional`, `.power`, `.sentences`, `.to_json()`.

        Raises
        ------
        FrameError
            A ValueError: rows that can't be read, that the model has learned from, or that no recipe can be refitted
            on.
        """
        by = self.config.segments.features if self.config.segments else ()
        test = _test_rows(result, X_test, y_test, accounts=accounts, as_of=as_of, production=production, segments=by)
        fair = _fair(result, test)
        if not fair.all():
            raise FrameError(
                f"{int((~fair).sum())} of {fair.size} rows are not fair to the model: it learned from their accounts, "
                f"or from what happened after their instant. Leave them out"
            )
        in_folds = X_test is None and self.config.evidence == "auto"
        refitted = refit_recipes(result, production) if in_folds else Refit()
        p_model = _score(result.model, test)
        is_baseline = result.baseline.bundle.kind is ModelKind.BASE_RATE
        parted = cut_segments(test.features, by)
        evidence = Evidence(
            y=np.asarray(test.churned, dtype=np.float64),
            accounts=np.asarray(test.accounts.to_pylist(), dtype=object),
            p_model=p_model,
            p_baseline=p_model if is_baseline else _score(result.baseline_model, test),
            development_churn_rate=result.development_churn_rate,
            reference_scores=result.primary.reference_scores,
            active_scores=_active_scores(result.model, test, active),
            fold_importances=result.primary.fold_importances,
            feature_names=result.primary.feature_names,
            production=None if production is None else _production(result, production, test, active, refitted),
            baseline_is_model=is_baseline,
            known=None if result.rows.knowledge.by_account else among(test.accounts, result.rows.learned_accounts),
            cross_fit=refitted.fit,
            segment_features=parted.features,
            segment_names=parted.names,
            segment_codes=parted.codes if parted.features else None,
            suspected_leaks=suspicions(
                [(each.name, each.level) for each in result.leaks], result.training.accept_leaks
            ),
        )
        judgement = judge(evidence, self.config)
        return replace(judgement, sentences=(*judgement.sentences, *refitted.notes))


def _test_rows(
    result: TrainedModel,
    X: Rows | None,
    y: Values | None,
    *,
    accounts: Values | None,
    as_of: Values | None,
    production: TrainedModel | ChurnModel | None,
    segments: Sequence[str],
) -> Frame:
    if X is None and y is None:
        return result.test
    if X is None or y is None:
        raise FrameError("X_test and y_test go together; leave both out to judge on the test side of the training")
    if as_of is None and result.rows.frame.as_of is not None:
        raise FrameError("as_of is needed: the model was trained on dated rows")
    if accounts is None and result.named:
        raise FrameError("accounts is needed: by it the rows are known that the model has learned from")
    read = {each.name: each for each in (*result.model.features, *result.baseline_model.features)}
    if production is not None:
        rival = production.model if isinstance(production, TrainedModel) else production
        read = {each.name: each for each in rival.features} | read
    table = read_known_columns(X, list(read.values()))
    parting, _ = read_columns(X, only=set(segments) - set(read))
    for name in parting.column_names:
        table = table.append_column(name, parting[name])
    frame = make_frame(table, X, accounts, as_of)
    return replace(frame, churned=read_labels(y, X))


def _fair(result: TrainedModel, test: Frame) -> Bools:
    """By accounts and instants; where nobody has named accounts, the caller vouches for them."""
    used = among(test.accounts, result.rows.learned_accounts)
    if not result.named:
        used = np.zeros(len(test), dtype=np.bool_)
    return fair_rows(None if test.as_of is None else row_instants(test), used, result.rows.knowledge)


def _score(model: ChurnModel, frame: Frame) -> Floats:
    return model.predict_proba(frame.features)[:, 1]


def _active_scores(model: ChurnModel, test: Frame, active: Rows | None) -> Floats:
    if active is not None:
        return model.predict_proba(active)[:, 1]
    if test.as_of is None:
        return _score(model, test.take(np.flatnonzero(test.churned == 0)))
    at = row_instants(test)
    return _score(model, test.take(np.flatnonzero(at == at.max())))


def _production(
    result: TrainedModel,
    production: TrainedModel | ChurnModel,
    test: Frame,
    active: Rows | None,
    refitted: Refit,
) -> Production:
    rival = production.model if isinstance(production, TrainedModel) else production
    fair = np.ones(len(test), dtype=np.bool_)
    if isinstance(production, TrainedModel) and production.named and result.named:
        fair = _fair(production, test)
    elif refitted.fit is None:  # in folds it learns from the same rows as the model
        warnings.warn(
            "What the production model learned from can't be compared with these rows; rows that it knows flatter it.",
            UserWarning,
            stacklevel=3,
        )
    active_scores = _active_scores(rival, test, active)
    return Production(
        version=rival.version or 0,
        p=_score(rival, test),
        fair=fair,
        unfair="" if fair.any() else _UNFAIR,
        same_recipe=isinstance(production, TrainedModel) and _recipe(production) == _recipe(result),
        active_scores=active_scores,
        active_paired=active_scores,  # both score the same rows
    )


def _recipe(result: TrainedModel) -> tuple[object, ...]:
    """What was asked for, as the service has it: a parameter that a fit chose for itself is no part of it."""
    asked, split = result.config.model_type, result.rows.knowledge.by_account
    space = result.search.space_json if result.search else None
    return asked, asked_params(result.config, asked), space, split, result.training.n_folds, result.features
