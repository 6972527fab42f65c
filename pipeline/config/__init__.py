"""params.yaml as checked values."""
