"""Tail probabilities with the same bits on every computer."""


def normal_two_sided(z: float) -> float:
    """P(|Z| > |z|) for Z of N(0, 1)."""
    raise NotImplementedError


def gamma_tails(shape: float, x: float) -> tuple[float, float]:
    """(P(G < x), P(G > x)) for G of the gamma distribution of scale 1; (0, 1) for x <= 0."""
    raise NotImplementedError


def beta_tail(x: float, a: float, b: float) -> float:
    """P(B > x) for B of the beta distribution with parameters a, b > 0."""
    raise NotImplementedError


def kolmogorov_tail(t: float) -> float:
    """P(K > t) for the limit K of sqrt(n) times the two-sided Kolmogorov-Smirnov statistic."""
    raise NotImplementedError
