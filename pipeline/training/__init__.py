"""Gradient descent over many models."""
