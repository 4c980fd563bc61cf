"""What a leak probe says: the feature, how sure it is, the numbers it rests on, and what to do."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LOGICAL_CHANCE = 1e-6  # STATISTICS.md section 7; what chance may do over all features before a pattern is certain
MIN_CHURNERS = 20  # STATISTICS.md section 7; accounts; under it only the logical probes speak


class Level(StrEnum):
    """How sure a finding is: a certain one stops training, a suspected one warns."""

    CERTAIN = "certain"
    SUSPECTED = "suspected"


@dataclass(frozen=True)
class Finding:
    """One suspicion, with its evidence.

    Attributes
    ----------
    feature : name of the column; 'account_id', 'row_number' or 'accounts' where it is none
    probe : the probe that speaks
    level : Level
    evidence : numbers by name, each with its unit in the name
    sentence : what was seen
    remedy : what to do about it
    """

    feature: str
    probe: str
    level: Level
    evidence: Mapping[str, float]
    sentence: str
    remedy: str

    @property
    def name(self) -> str:
        """By which a caller accepts the finding; the same in every run on the same columns."""
        return f"{self.feature}:{self.probe}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "feature": self.feature,
            "probe": self.probe,
            "level": self.level.value,
            "evidence": dict(self.evidence),
            "sentence": self.sentence,
            "remedy": self.remedy,
        }


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Certain ones first, then by name."""
    return tuple(sorted(findings, key=lambda each: (each.level is not Level.CERTAIN, each.name)))


def unaccepted(findings: Iterable[Finding], accepted: Collection[str]) -> tuple[Finding, ...]:
    """The certain findings that stop training: those not accepted by name."""
    return tuple(each for each in findings if each.level is Level.CERTAIN and each.name not in accepted)


def suspicions(levels: Iterable[tuple[str, str]], accepted: Collection[str]) -> tuple[str, ...]:
    """Names of the findings that only warn, out of names and levels, but for those accepted by name."""
    return tuple(name for name, level in levels if level == Level.SUSPECTED and name not in accepted)
