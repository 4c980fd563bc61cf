"""The kinds of model: how each is fitted, scored, explained and kept as data."""
