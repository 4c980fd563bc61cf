"""Probes for features that know the outcome; each is a pure function of labelled rows, `find.find_leaks` runs all."""
