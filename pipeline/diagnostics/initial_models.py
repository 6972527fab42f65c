"""Measurements of some models of a job at initialization."""

from pipeline.diagnostics import measure
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import Array
from pipeline.storage.jobs import ModelsJob


def measured(
    job: ModelsJob, seeds: tuple[int, ...], X: Array, Y: Array, drawn: Parameters | None = None
) -> measure.Measurements:
    """The measurements on X (n_0, m) and Y (1, m) of the models of `seeds`, drawn here unless given.

    A function by whose name a process without the files in own/ is called. Raises UserError if a user-defined function
    fails.
    """
    return measure.measure(job.initial_parameters(seeds, X) if drawn is None else drawn, X, Y, job.phi)
