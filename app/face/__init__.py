"""The Python face: the pipeline on plain frames, and the services as plain calls; `holdfast` re-exports it."""
