"""The figures: tables in, a matplotlib Figure out."""
