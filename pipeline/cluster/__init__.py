"""Slices of work on the workers of a Dask cluster, with the same bits as on this computer."""
