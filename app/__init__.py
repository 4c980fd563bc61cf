"""Holdfast: the whole life of a churn model over REST."""
