"""Arithmetic with the same bits on every processor: elementary functions, sums, draws, matrix products."""
