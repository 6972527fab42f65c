"""The learning curve of a mode, against published numbers and SciPy's solution of its differential equation."""

import pytest
from scipy.integrate import solve_ivp

from pipeline.theory.linear_networks import half_rise, mode_strength


@pytest.mark.parametrize(("s", "t"), [(4.0, 1.0367), (3.0, 1.3343), (2.0, 1.9001), (1.0, 3.4534)])
def test_half_rise_of_the_four_modes(s: float, t: float) -> None:
    """To four decimals, for an initial strength of 0.001."""
    assert abs(half_rise(s, 0.001) - t) < 5.1e-5
    assert mode_strength(half_rise(s, 0.001), s, 0.001) == pytest.approx(s / 2, rel=1e-13)


@pytest.mark.parametrize("s", [1.0, 3.0])
def test_strength_solves_the_equation(s: float) -> None:
    solved = solve_ivp(lambda t, u: 2 * u * (s - u), (0, 3), [0.01], rtol=1e-10, atol=1e-12, dense_output=True)
    for t in (0.0, 0.5, 1.5, 3.0):
        assert mode_strength(t, s, 0.01) == pytest.approx(solved.sol(t)[0], rel=1e-7)
