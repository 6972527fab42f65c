"""The losses: the cross-entropy of one sample as a function of its logits, the squared error, and their derivatives.

Like the functions of `elementary`, from which they are composed, they accept NumPy arrays and the kernel's vectors.
Labels of the cross-entropy are class numbers. Two classes have one logit and a sigmoid; three or more have one logit
each and a softmax, whose maximum and sum are taken over the classes in order.
"""

import enum

from pipeline.numerics.elementary import Operand, exp_of_negative, log_of_sum, select, sigmoid, softplus


class Loss(enum.IntEnum):
    """The cost of one sample; training minimizes its mean over the samples. The numbers are those of the kernel."""

    CROSS_ENTROPY = 0  # of class numbers Y (1, m), by a sigmoid or a softmax of the logits, in nats
    SQUARED = 1  # half the squared distance of the outputs from Y (n_L, m)


def cross_entropy(z: Operand, y: Operand) -> Operand:
    """-y ln sigmoid(z) - (1 - y) ln(1 - sigmoid(z)) in nats, for y = 0 or 1; finite for every finite z.

    Computed as softplus(z) - y z, arranged to avoid cancellation of large terms.
    """
    return (select(z < 0.0, 0.0, z) - y * z) + softplus(-abs(z))


def cross_entropy_slope(z: Operand, y: Operand) -> Operand:
    """The derivative of `cross_entropy` with respect to z, sigmoid(z) - y."""
    return sigmoid(z) - y


def larger(x: Operand, y: Operand) -> Operand:
    """The larger of two numbers."""
    return select(x < y, y, x)


def exp_below(z: Operand, top: Operand) -> Operand:
    """e**(z - top), the term of a logit z in the sum of the softmax; `top` is the largest logit."""
    return exp_of_negative(z - top)


def if_reached(label: Operand, k: Operand, z: Operand, before: Operand) -> Operand:
    """`z` where the label is at least k, else `before`; applied to all classes in order it selects the label's z."""
    return select(label > k - 0.5, z, before)


def softmax_cross_entropy(total: Operand, top: Operand, own: Operand) -> Operand:
    """-ln softmax(z)_label in nats, as ln(total) - (own - top): total = sum_k e**(z_k - top), own = z_label."""
    return log_of_sum(total) - (own - top)


def softmax_cross_entropy_slope(term: Operand, total: Operand, label: Operand, k: Operand) -> Operand:
    """The derivative of `softmax_cross_entropy` by z_k: term / total = softmax(z)_k, minus 1 if k is the label."""
    return term / total - select(label > k - 0.5, select(label < k + 0.5, 1.0, 0.0), 0.0)


def squared_distance(z: Operand, y: Operand) -> Operand:
    """(z - y)**2; the squared loss of a sample is half the sum over its outputs z, added in order."""
    return (z - y) * (z - y)


def squared_slope(z: Operand, y: Operand) -> Operand:
    """The derivative of (z - y)**2 / 2 with respect to z, z - y."""
    return z - y
