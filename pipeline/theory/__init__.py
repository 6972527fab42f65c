"""Predictions of mean-field and finite-width theory for networks at initialization."""
