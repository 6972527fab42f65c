"""The command `audit-weights`: its arguments, its text and its JSON."""
