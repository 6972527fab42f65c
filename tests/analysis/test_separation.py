"""The area under the ROC curve and the best threshold, against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.analysis.separation import Threshold, area_under_curve, best_threshold


@pytest.mark.parametrize("seed", range(5))
def test_area_is_scikit_learns(seed: int) -> None:
    rng = np.random.RandomState(seed)
    scores = rng.randint(0, 6, 30).astype(float)  # with ties
    positive = rng.rand(30) < 0.4
    assert math.isclose(area_under_curve(scores.tolist(), positive.tolist()), roc_auc_score(positive, scores))


def test_area_of_infinite_scores_and_of_one_group() -> None:
    assert area_under_curve([math.inf, 3.0, 1.0], [True, True, False]) == 1.0
    assert area_under_curve([math.inf, math.inf], [True, False]) == 0.5
    assert math.isnan(area_under_curve([1.0, 2.0], [True, True]))


def test_best_threshold() -> None:
    """At most 3 separates all but one of six: 1 and 3 are positive, 2 is not."""
    found = best_threshold([1.0, 2.0, 3.0, 12.0, 20.0, math.inf], [True, False, True, False, False, False])
    assert found == Threshold(1.0, 2.0, 5)  # the first interval of equal agreement
    assert best_threshold([1.0, 3.0, 12.0, 20.0], [True, True, False, False]) == Threshold(3.0, 12.0, 4)


def test_centre_is_the_geometric_mean() -> None:
    assert Threshold(3.0, 12.0, 4).centre == pytest.approx(6.0, rel=1e-15)
    assert best_threshold([2.0, 5.0], [False, False]).centre == 2.0
    assert best_threshold([2.0, 5.0], [True, True]).centre == 5.0
