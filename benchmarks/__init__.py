"""Benchmarks of the kernel against other libraries, and validations: `make benchmark`."""
