"""Probe: a feature is filled, or missing, for churners only."""

from math import exp, log

from app.ml.leaks.columns import Column
from app.ml.leaks.findings import LOGICAL_CHANCE, Finding, Level
from app.ml.leaks.rows import LabelledRows
from app.stats.arrays import Bools


def probe_filling(column: Column, rows: LabelledRows) -> tuple[Finding, ...]:
    r"""Judge rows that are filled, and rows that are missing, where each of them churned.

    With k accounts among them, chance does so at a rate of at most :math:`n_{features} r^k`; under 10^-6 it speaks.
    r is the larger of the churn rate of rows and the share of accounts that ever churned, since a value may be filled
    in the last row of an account, honestly.

    Filled for churners only is certain. *Missing* for churners only is as improbable, but an account that does nothing
    has honest gaps, so it is suspected.

    Parameters
    ----------
    column : Column
        Some rows filled and some missing; else nothing is said.
    rows : LabelledRows
        Its rows.
    """
    missing = column.missing
    if missing.all() or not missing.any():
        return ()
    found = [_judge(column, rows, ~missing, Level.CERTAIN), _judge(column, rows, missing, Level.SUSPECTED)]
    return tuple(each for each in found if each)


def _judge(column: Column, rows: LabelledRows, marked: Bools, level: Level) -> Finding | None:
    if (marked & ~rows.churned).any() or rows.churned.all():
        return None
    n_accounts = rows.count_accounts(marked)
    log_chance = log(rows.n_features) + n_accounts * log(rows.churner_share) if rows.churner_share < 1 else 0.0
    if log_chance >= log(LOGICAL_CHANCE):
        return None
    name = column.feature.name
    state, verb = ("filled", "written") if level is Level.CERTAIN else ("missing", "emptied")
    return Finding(
        feature=name,
        probe=f"{state}_only_for_churners",
        level=level,
        evidence={
            f"n_{state}_accounts": n_accounts,
            f"n_{state}_rows": int(marked.sum()),
            "churner_share": rows.churner_share,
            "chance": exp(log_chance),
            "n_rows": rows.y.size,
        },
        sentence=f"{name} is {state} for {n_accounts} accounts, and all of them churned in just these rows.",
        remedy=f"Leave {name} out if it is {verb} when an account leaves.",
    )
