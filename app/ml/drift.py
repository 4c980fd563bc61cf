"""Drift: how far the scored accounts have moved from the reference profile, feature by feature and in the score."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from app.ml.frame import FeatureKind
from app.ml.profile import SCORE_NAME, Counts, FeatureProfile, Profile
from app.schemas.config import MonitoringConfig
from app.stats.arrays import Ints
from app.stats.psi import Psi, benjamini_hochberg, merge_levels, merge_neighbours, psi

MISSING_JUMP = 0.05  # a missing share that moved by 5 points or more is named as the cause
MAX_NAMED = 10  # features named one by one in the actions; the rest are counted


class HealthStatus(StrEnum):
    """The state of a model in use."""

    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"
    INSUFFICIENT = "insufficient"


class DriftState(StrEnum):
    """The state of one feature, or of the score."""

    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"
    SIGNIFICANT_BELOW_FLOOR = "significant_below_floor"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True)
class FeatureDrift:
    """Drift of one feature.

    Attributes
    ----------
    name : feature, or 'churn_probability' for the score
    state : DriftState
    psi : bias-corrected index in nats; about 0 without drift, may be negative
    p_value, q_value : 0..1, the second under Benjamini-Hochberg over the features (of the score: its p value)
    smallest_detectable_psi : the true index that samples of these sizes find 4 times in 5; None with one bin
    n_bins : bins compared, after rare ones were merged
    missing_before, missing_after : share of missing values, 0..1
    unseen : share of accounts with a level that no reference row had, 0..1; 0 for numbers
    """

    name: str
    state: DriftState
    psi: float
    p_value: float
    q_value: float
    smallest_detectable_psi: float | None
    n_bins: int
    missing_before: float
    missing_after: float
    unseen: float


@dataclass(frozen=True)
class DriftReport:
    """Drift of all features and of the score, with what to do about it."""

    features: tuple[FeatureDrift, ...]
    score: FeatureDrift | None
    health_status: HealthStatus
    n_reference: int
    n_current: int
    recommended_actions: list[str]

    @property
    def n_drifted(self) -> int:
        """Features in state warning or worse."""
        return sum(f.state in (DriftState.WARNING, DriftState.CRITICAL) for f in self.features)

    @property
    def n_critical(self) -> int:
        """Features in state critical."""
        return sum(f.state is DriftState.CRITICAL for f in self.features)


def check_drift(profile: Profile, counts: Counts, config: MonitoringConfig) -> DriftReport:
    """Compare the counts of a scoring run with the reference profile.

    A feature is `warning` or `critical` where its drift is significant (Benjamini-Hochberg over the features at
    `false_discovery_rate`) and its bias-corrected index reaches the floor; significant drift under the floors is told
    apart. It is `insufficient` where fewer than `min_sample` accounts were scored, or where an index as high as the
    critical floor could be chance.

    Parameters
    ----------
    profile : Profile
        The reference.
    counts : Counts
        Rows of the run in the bins of this profile; where either holds no scores, the features alone are compared.
    config : MonitoringConfig
        Floors, minimum sample and false-discovery rate.
    """
    if not profile.n_rows or not counts.n_rows:
        return _nothing_to_compare(profile, counts)
    indices = [_index(feature, counts.features[feature.name]) for feature in profile.features]
    q_values = benjamini_hochberg(np.array([index.p_value for index in indices]))
    features = tuple(
        _drift(feature, counts.features[feature.name], index, q=float(q), config=config)
        for feature, index, q in zip(profile.features, indices, q_values, strict=True)
    )
    score = _score_drift(profile, counts, config)
    status = worst(_health(part.state) for part in (*features, *([score] if score else [])))
    actions = _actions(features, score, counts.n_rows, config)
    return DriftReport(features, score, status, profile.n_rows, counts.n_rows, actions)


def _score_drift(profile: Profile, counts: Counts, config: MonitoringConfig) -> FeatureDrift | None:
    if not (sum(profile.scores.counts) and counts.scores.sum()):
        return None
    index = _index(profile.scores, counts.scores)
    return _drift(profile.scores, counts.scores, index, q=index.p_value, config=config)


def worst(statuses: Iterable[HealthStatus]) -> HealthStatus:
    """The gravest status; `insufficient` only where nothing could be judged."""
    present = set(statuses)
    for status in (HealthStatus.CRITICAL, HealthStatus.WARNING, HealthStatus.HEALTHY):
        if status in present:
            return status
    return HealthStatus.INSUFFICIENT


def _nothing_to_compare(profile: Profile, counts: Counts) -> DriftReport:
    empty = "The reference profile" if not profile.n_rows else "The scoring run"
    action = f"{empty} holds no account: score the active accounts and check again."
    return DriftReport((), None, HealthStatus.INSUFFICIENT, profile.n_rows, counts.n_rows, [action])


def _index(feature: FeatureProfile, current: Ints) -> Psi:
    """The index over merged bins; the missing values of a number keep a bin of their own while they are enough."""
    reference = np.array(feature.counts, dtype=np.int64)
    if feature.kind is not FeatureKind.NUMERIC:
        return psi(*merge_levels(reference, current))
    known, known_now = merge_neighbours(reference[:-1], current[:-1])
    return psi(*merge_levels(np.append(known, reference[-1]), np.append(known_now, current[-1])))


def _drift(feature: FeatureProfile, current: Ints, index: Psi, *, q: float, config: MonitoringConfig) -> FeatureDrift:
    n_reference, n_current = sum(feature.counts), int(current.sum())
    has_other = feature.kind is not FeatureKind.NUMERIC and feature.counts[-2] == 0
    return FeatureDrift(
        name=feature.name,
        state=_state(index, q, n_current, config),
        psi=index.corrected,
        p_value=index.p_value,
        q_value=q,
        smallest_detectable_psi=index.smallest_detectable() if index.n_bins > 1 else None,
        n_bins=index.n_bins,
        missing_before=feature.counts[-1] / n_reference,
        missing_after=float(current[-1] / n_current),
        unseen=float(current[-2] / n_current) if has_other else 0.0,
    )


def _state(index: Psi, q: float, n_current: int, config: MonitoringConfig) -> DriftState:
    if n_current < config.min_sample or index.critical_value() > config.psi_critical:
        return DriftState.INSUFFICIENT
    if q > config.false_discovery_rate:
        return DriftState.HEALTHY
    if index.corrected >= config.psi_critical:
        return DriftState.CRITICAL
    return DriftState.WARNING if index.corrected >= config.psi_warning else DriftState.SIGNIFICANT_BELOW_FLOOR


def _health(state: DriftState) -> HealthStatus:
    return HealthStatus.HEALTHY if state is DriftState.SIGNIFICANT_BELOW_FLOOR else HealthStatus(state.value)


def _actions(
    features: tuple[FeatureDrift, ...], score: FeatureDrift | None, n_current: int, config: MonitoringConfig
) -> list[str]:
    if n_current < config.min_sample:
        return [f"Only {n_current} accounts were scored; drift is judged from {config.min_sample} on."]
    drifted = [f for f in features if f.state in (DriftState.WARNING, DriftState.CRITICAL)]
    drifted.sort(key=lambda f: -f.psi)
    actions = [_feature_action(f) for f in drifted[:MAX_NAMED]]
    if len(drifted) > MAX_NAMED:
        actions.append(f"{len(drifted) - MAX_NAMED} more features drifted; see the list of features.")
    actions += [_unseen_action(f) for f in features if f.unseen and f not in drifted]
    return actions + _score_actions(score) if score else actions


def _feature_action(f: FeatureDrift) -> str:
    moved = f"{f.name} drifted ({f.state.value}, PSI {f.psi:.2f})"
    if abs(f.missing_after - f.missing_before) >= MISSING_JUMP:
        return (
            f"{moved}: missing values went from {f.missing_before:.1%} to {f.missing_after:.1%}; "
            f"check the feed that fills it."
        )
    if f.unseen:
        return f"{moved}: {f.unseen:.1%} of the accounts have a level not seen at training; {_UNSEEN_CURE}"
    return f"{moved}: check whether its source or the customer base changed."


_UNSEEN_CURE = "check its spelling, and retrain once such accounts have outcomes."


def _unseen_action(f: FeatureDrift) -> str:
    return f"{f.name}: {f.unseen:.1%} of the accounts have a level not seen at training; {_UNSEEN_CURE}"


def _score_actions(score: FeatureDrift) -> list[str]:
    if score.state is DriftState.CRITICAL:
        return [
            f"{SCORE_NAME} drifted (critical, PSI {score.psi:.2f}): evaluate the champion on the newest matured "
            f"outcomes, and train a new version."
        ]
    if score.state is DriftState.WARNING:
        return [
            f"{SCORE_NAME} drifted (warning, PSI {score.psi:.2f}): evaluate the champion on the newest matured "
            f"outcomes."
        ]
    return []
