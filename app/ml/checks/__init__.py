"""The six checks of the gate, each a pure function of the evidence and the config."""
