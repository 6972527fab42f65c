"""Arithmetic with the same bits on every processor: elementary functions, sums, random draws, matrix products."""
