"""Singular values of random weights and of the input-output Jacobian of wide networks at initialization."""

import math

from pipeline.networks.activations import Activation
from pipeline.networks.edge_of_chaos import kinks_of
from pipeline.numerics.sums import Array
from pipeline.theory.mean_field import expectation


def mean_singular_value(sigma_w2: float) -> float:
    """8 / (3 pi) sigma_w: the mean singular value of a large square W of independent entries of variance sigma_w2 / n.

    The singular values follow the quarter circle law on [0, 2 sigma_w] (Marchenko & Pastur 1967). Raises ValueError
    for a negative variance.
    """
    if not sigma_w2 >= 0.0:
        raise ValueError(f"sigma_w2 must be at least 0, not {sigma_w2}")
    return 8.0 / (3.0 * math.pi) * math.sqrt(sigma_w2)


def squared_spread(depth: int, q: float, activation: Activation, orthogonal: bool) -> float:
    """Var(s^2) / E[s^2]^2 of the singular values s of the Jacobian of `depth` layers at a fixed point q.

    depth (mu_2 / mu_1^2 - 1), mu_k = E[phi'(sqrt(q) z)^(2 k)], for orthogonal weights, and depth mu_2 / mu_1^2 for
    independent normal ones (Pennington et al. 2017, at E[s^2] = 1). Exact in the limit of wide layers: the
    second moments of free factors, each divided by its squared mean, minus 1, add up.
    """
    kinks = kinks_of(activation)

    def slope_square(z: Array) -> Array:
        slope = activation.slope(z, activation.phi(z))
        return slope * slope  # type: ignore[no-any-return]

    mu_1 = expectation(slope_square, q, kinks)
    mu_2 = expectation(lambda z: slope_square(z) * slope_square(z), q, kinks)
    return depth * (mu_2 / (mu_1 * mu_1) - (1.0 if orthogonal else 0.0))
