"""Initializers: functions that return the initial parameters of a layer or of a whole network."""
