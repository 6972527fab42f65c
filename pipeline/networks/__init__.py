"""Networks: parameters, activations, losses, the NumPy reference and the compiled kernel."""
