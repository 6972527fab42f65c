"""The audit of a network that is already initialized: distribution of the weights, faults, and whether it can train."""
