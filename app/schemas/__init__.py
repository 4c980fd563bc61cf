"""What crosses HTTP, and the config models."""
