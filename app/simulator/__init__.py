"""A simulated SaaS business that knows the true churn probability of every account at every instant."""

from app.simulator.blocks import Block, make_block, simulate, true_probabilities, truth_blocks
from app.simulator.config import (
    KINDS,
    LEAKS,
    BrokenFeed,
    Drift,
    PriceChange,
    SimulatorConfig,
    Treatment,
)

__all__ = [
    "KINDS",
    "LEAKS",
    "Block",
    "BrokenFeed",
    "Drift",
    "PriceChange",
    "SimulatorConfig",
    "Treatment",
    "make_block",
    "simulate",
    "true_probabilities",
    "truth_blocks",
]
