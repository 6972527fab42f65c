"""Tables computed from tables: one row per model to one row per initializer, with intervals and tests."""
