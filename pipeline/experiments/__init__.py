"""Compare DVC experiments."""
