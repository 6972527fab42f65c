"""The cost of one sample from its logits, and its derivative by them.

Like the functions of `elementary`, which they are made of, they take NumPy arrays and the kernel's vectors. Labels are
class numbers. Two classes have one logit and a sigmoid; more have a logit each and a softmax, whose maximum and sum go
over the classes in their order.
"""

from pipeline.numerics.elementary import Number, exp, log_of_sum, select, sigmoid, softplus


def cross_entropy(z: Number, y: Number) -> Number:
    """-y ln sigmoid(z) - (1 - y) ln(1 - sigmoid(z)), in nats, for y of 0 or 1; finite however large z is.

    It is softplus(z) - y z, put so that nothing large cancels.
    """
    return (select(z < 0.0, 0.0, z) - y * z) + softplus(-abs(z))


def cross_entropy_slope(z: Number, y: Number) -> Number:
    """The derivative of `cross_entropy` by z: sigmoid(z) - y."""
    return sigmoid(z) - y


def larger(x: Number, y: Number) -> Number:
    """The larger of two numbers."""
    return select(x < y, y, x)


def exp_below(z: Number, top: Number) -> Number:
    """e**(z - top), a logit's term of the softmax's sum; `top` is the largest logit."""
    return exp(z - top)


def if_reached(label: Number, k: Number, z: Number, before: Number) -> Number:
    """`z` where the label is at least k, else `before`: over all classes in order it leaves the label's own logit."""
    return select(label > k - 0.5, z, before)


def softmax_cross_entropy(total: Number, top: Number, own: Number) -> Number:
    """-ln softmax(z)_label = ln sum_k e**(z_k - top) - (z_label - top), in nats, from the sum, `top` and z_label."""
    return log_of_sum(total) - (own - top)


def softmax_cross_entropy_slope(term: Number, total: Number, label: Number, k: Number) -> Number:
    """Its derivative by z_k: softmax(z)_k, which is term / total, less 1 if the label is k."""
    return term / total - select(label > k - 0.5, select(label < k + 0.5, 1.0, 0.0), 0.0)
