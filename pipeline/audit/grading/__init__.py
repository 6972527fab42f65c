"""Grading: whether a function draws weights from the distribution that was meant, whatever generator it uses."""
