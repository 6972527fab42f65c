"""The audit of a network that is already initialized: the distribution of its weights, faults, and whether it can train."""
