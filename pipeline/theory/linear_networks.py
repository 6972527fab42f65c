"""The exact learning curve of a mode of a linear network with one hidden layer (Saxe et al. 2013, equation 12)."""

from pipeline.numerics.elementary import exp, log


def mode_strength(time: float, singular_value: float, initial: float) -> float:
    """The strength u of a mode after `time`, in units of the time constant 1 / learning rate; u begins at `initial`.

    u' = 2 u (s - u) for whitened inputs and balanced weights, solved by s / (1 + (s / u0 - 1) e^(-2 s t)).
    """
    s = singular_value
    return s / (1.0 + (s / initial - 1.0) * float(exp(-2.0 * s * time)))


def half_rise(singular_value: float, initial: float) -> float:
    """The time at which a mode has half its final strength, ln(s / u0 - 1) / (2 s)."""
    return float(log(singular_value / initial - 1.0)) / (2.0 * singular_value)
