"""Initializers: functions that draw the weights of a layer or of a whole network."""
