"""Readers of the formats in which models are stored."""
