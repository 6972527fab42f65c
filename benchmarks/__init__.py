"""Speed of the kernel beside its peers: `make benchmark`."""
