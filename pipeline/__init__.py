"""How does weight initialization affect training? A reproducible pipeline of experiments."""
