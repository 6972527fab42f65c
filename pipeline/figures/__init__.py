"""Figures: functions from tables to a matplotlib Figure."""
