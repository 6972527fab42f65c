"""Where a bounded activation is saturated."""

from functools import cache

import numpy as np

from pipeline.networks.activations import Activation

FLAT = 0.1  # share of the largest slope below which an activation is flat; k flat layers scale gradients by < 10^-k
ASYMPTOTE = 40.0  # |z| at which bounded activations equal their asymptotes


@cache
def flat_below(activation: Activation) -> float:
    """The |slope| below which a unit is saturated: a tenth of the activation's largest; 0 if it is not bounded.

    A saturated unit is close to an asymptote of a bounded activation (Rakitianskaia & Engelbrecht 2015), measured by
    the slope, which scales the gradient. tanh: |a| > sqrt(0.9) = 0.9487, |z| > 1.8184. sigmoid: a outside
    [0.0257, 0.9743], |z| > 3.6369. Activations that are flat on at most one side, such as ReLU and its variants, have
    no saturated units: their zeros are sparsity, which matters only if a unit is dead.
    """
    z = np.linspace(-ASYMPTOTE, ASYMPTOTE, 5121)  # steps of 1/64, exactly
    slopes = np.abs(activation.slope(z, activation.phi(z)))
    threshold = FLAT * float(slopes.max())
    return threshold if max(slopes[0], slopes[-1]) < threshold else 0.0
