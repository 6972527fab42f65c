"""The cost of one sample from its logit, and its derivative.

Like the functions of `elementary`, which they are made of, they take NumPy arrays and the kernel's vectors.
"""

from pipeline.elementary import Number, select, sigmoid, softplus


def cross_entropy(z: Number, y: Number) -> Number:
    """-y ln sigmoid(z) - (1 - y) ln(1 - sigmoid(z)), in nats, for y of 0 or 1; finite however large z is.

    It is softplus(z) - y z, put so that nothing large cancels.
    """
    return (select(z < 0.0, 0.0, z) - y * z) + softplus(-abs(z))


def cross_entropy_slope(z: Number, y: Number) -> Number:
    """The derivative of `cross_entropy` by z: sigmoid(z) - y."""
    return sigmoid(z) - y
