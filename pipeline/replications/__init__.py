"""Replications of published results: each number beside theory, the publication and its band."""
