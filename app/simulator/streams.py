"""Randomness: a stream of its own for each block and purpose, so that throwing one switch leaves the rest as it was."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of the meaning of a seed."""

    POPULATION = 1
    WALK = 2
    RETURNS = 3
    CHANGES = 4
    INVOICES = 5
    RECORDING_ACCOUNTS = 6
    RECORDING_SUBSCRIPTIONS = 7
    RECORDING_EVENTS = 8
    LEAKS = 9
    OFFBOARDING = 10
    CONTACT = 11
    ORDER = 12
    EVENTS = 100  # plus the number of the kind
    THINNING = 200  # plus the number of the kind


def open_stream(seed: int, block: int, purpose: int) -> np.random.Generator:
    """A generator that depends on the three numbers alone."""
    return np.random.Generator(np.random.SFC64([seed, block, purpose]))
