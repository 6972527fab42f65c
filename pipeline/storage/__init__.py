"""The files of the pipeline: where they are, how they are written, read and checked."""
