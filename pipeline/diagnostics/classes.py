"""How often each class occurs, and the entropy of that distribution."""

import math
from typing import NamedTuple

import numpy as np

from pipeline.numerics.elementary import log
from pipeline.numerics.sums import Array, integer_sum


class Classes(NamedTuple):
    """The number of training samples of each class."""

    counts: list[int]  # of class 0, 1, ...

    @property
    def entropy(self) -> float:
        """-sum_k p_k ln p_k in nats: the smallest cost of a network with the same output for every sample."""
        m = integer_sum(self.counts)
        return 0.0 - math.fsum(n / m * float(log(np.float64(n / m))) for n in self.counts if n)  # no -0

    @property
    def balanced(self) -> bool:
        """Whether all classes occur equally often."""
        return len(set(self.counts)) == 1


def class_counts(Y: Array, n_classes: int = 0) -> Classes:
    """The counts of the class numbers Y (1, m), of at least `n_classes` classes."""
    return Classes(np.bincount(Y[0].astype(np.int64), minlength=n_classes).tolist())
