"""How a simulated business is described as a dataset: where each fact stands, who is active, what churn is."""

from typing import Any

from app.simulator.config import SimulatorConfig


def describe(config: SimulatorConfig, name: str) -> dict[str, Any]:
    """The body of `POST /datasets` for the files that are written, as plain data.

    Parameters
    ----------
    config : SimulatorConfig
        Its horizon, lead and grace are those of the labels.
    name : str
        Of the dataset.
    """
    recorded = {"recorded_at_column": "recorded_at"}
    return {
        "name": name,
        "kind": "events",
        "accounts": {"valid_from_column": "valid_from", "value_column": "annual_value", **recorded},
        "subscriptions": {
            "subscription_id_column": "subscription_id",
            "plan_column": "plan",
            "amount_column": "recurring_amount",
            **recorded,
        },
        "events": {"kind_column": "kind", "quantity_column": "quantity", "amount_column": "amount", **recorded},
        "active": {"kind": "subscription"},
        "horizon_days": config.horizon_days,
        "lead_days": config.lead_days,
        "grace_days": config.grace_days,
    }
