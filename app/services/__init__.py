"""One class per domain: owns transactions and the order of steps."""
