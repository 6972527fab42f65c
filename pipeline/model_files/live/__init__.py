"""Models in memory, recognized by their attributes: no framework is imported."""
