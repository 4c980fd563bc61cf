"""Frames in, fitted objects or reports out: no I/O, no clock."""
