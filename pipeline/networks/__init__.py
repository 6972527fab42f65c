"""Networks: parameters, activations, losses, the reference in NumPy and the compiled kernel."""
