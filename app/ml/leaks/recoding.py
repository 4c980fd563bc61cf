"""Probe: a feature is the label under another coding."""

from math import exp, log

import numpy as np

from app.ml.leaks.columns import Column
from app.ml.leaks.findings import LOGICAL_CHANCE, Finding, Level
from app.ml.leaks.rows import LabelledRows
from app.stats.levels import count_classes, log_chance_all_pure


def probe_recoding(column: Column, rows: LabelledRows) -> Finding | None:
    r"""Certain where each value of the feature, missing among them, belongs to one class only.

    It speaks where chance does so at a rate under 10^-6 over all features: :math:`n_{features} 2^l / \binom{n}{m}`
    with l values, and n accounts of which m churned, one random row of each (a table without an exception has none
    in these rows either). So two values need about 30 accounts with 10 churners, one value per row is never a
    recoding, and there is no limit to the number of values.

    Parameters
    ----------
    column : Column
        Of any kind.
    rows : LabelledRows
        Its rows.
    """
    stayed, churned = count_classes(rows.y, column.codes, column.n_known + 1)
    if np.minimum(stayed, churned).any() or not churned.any() or not stayed.any():
        return None
    n, n_churned = rows.n_accounts, int(rows.y[rows.one_each].sum())
    log_chance = log(rows.n_features) + log_chance_all_pure(column.n_levels, n, n_churned)
    if log_chance >= log(LOGICAL_CHANCE):
        return None
    name = column.feature.name
    return Finding(
        feature=name,
        probe="recoding_of_label",
        level=Level.CERTAIN,
        evidence={
            "n_values": column.n_levels,
            "n_values_of_churners": int((churned > 0).sum()),
            "chance": exp(log_chance),
            "n_churners": rows.n_churners,
            "n_rows": rows.y.size,
        },
        sentence=f"Each of the {column.n_levels} values of {name} belongs to churners only or to others only.",
        remedy=f"Leave {name} out: it says what the label says.",
    )
