"""The data sets against scikit-learn's generators."""

import numpy as np
import pytest
from sklearn.datasets import make_circles

from pipeline.datasets import circles


@pytest.mark.parametrize(
    ("n", "noise", "seed"), [(300, 0.05, 1), (100, 0.05, 2), (7, 0.2, 0), (1, 0.1, 4), (64, 0.0, 9)]
)
def test_circles_are_scikit_learns(n: int, noise: float, seed: int) -> None:
    X, Y = circles(n, noise, seed)
    points, labels = make_circles(n, noise=noise, random_state=seed)
    # scikit-learn's angles run to 2 pi and carry half an ulp of that, 4.4e-16, at either end of the subtraction
    np.testing.assert_allclose(X.T, points, rtol=0, atol=2e-15)
    np.testing.assert_array_equal(Y[0], labels)


def test_mean_square_of_the_tutorials_points() -> None:
    """The mean |x|^2 of the training data, which fixes the scale of every first layer."""
    X, _ = circles(300, 0.05, 1)
    assert np.sum(X * X) / 300 == pytest.approx(0.830449, abs=5e-7)
