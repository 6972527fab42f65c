"""What is measured of a stack of models, at initialization or at any snapshot."""
