"""The phase diagram of deep networks at initialization: sigma_w^2 and sigma_b^2 against theory's depth scale."""

from functools import cache
from typing import NamedTuple

from pipeline.errors import UserError
from pipeline.networks.activations import Activation
from pipeline.theory.correlation import xi_c
from pipeline.theory.mean_field import chi_1, fixed_points


class Point(NamedTuple):
    """Theory at one point of the diagram."""

    q: float  # the stable fixed point of the variance of the pre-activations
    chi_1: float  # below 1: ordered; above: chaotic
    xi_c: float  # layers in which the difference of a correlation from its limit decreases by e; infinite at the edge


@cache
def point(activation: Activation, sigma_w2: float, sigma_b2: float) -> Point:
    """Theory for weights of variance sigma_w2 / fan_in and biases of variance sigma_b2 (Schoenholz et al. 2017).

    Raises UserError if the variance does not have exactly one stable fixed point.
    """
    stable = fixed_points(sigma_w2, sigma_b2, activation)
    if len(stable) != 1:
        raise UserError(
            f"{activation.name} has {len(stable)} stable fixed points of the variance at sigma_w2 = {sigma_w2:g}, "
            f"sigma_b2 = {sigma_b2:g}; the phase diagram requires one."
        )
    (q,) = stable
    return Point(q, chi_1(q, sigma_w2, activation), xi_c(q, sigma_w2, sigma_b2, activation))
