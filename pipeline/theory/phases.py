"""What theory says of an activation, for whoever asks. Every number comes from the modules that compute it.

`python -m pipeline.theory tanh --gain 1.6666666666666667` says what becomes of signals and gradients in layers of that
activation whose weights have the standard deviation gain / sqrt(fan_in); `--sigma-w2` takes its square, fan_in Var(W),
instead. `phase_page` prints what it says of each activation.
"""

import argparse
import math
import sys
import textwrap
from collections.abc import Sequence

from pipeline.config.messages import cut, hint, nearest, shown
from pipeline.errors import UserError
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.edge_of_chaos import Critical, critical_point
from pipeline.numerics import elementary
from pipeline.theory import mean_field
from pipeline.theory.correlation import correlation_map, fixed_correlation, xi_c
from pipeline.theory.finite_width import born_dead, log_signal, second_moment_growth
from pipeline.theory.mean_field import NEAR_CRITICAL, chi_1, depth_scale, length_map

DIGITS = 7  # significant ones
LAYER_DIGITS = 4  # of a number of layers
ROUNDING = 1e-12  # to which theory's numbers are good, as means, correlations and relative changes of q
TRAINABLE = 6.0  # depths up to so many xi_c can be trained, as Schoenholz et al. (2017) find
LARGEST = {"--sigma-w2": 1e6, "--gain": 1e3, "--sigma-b2": 100.0}  # so far `critical_point` overlooks none
MAX_WIDTH, MAX_HIDDEN = 10_000, 300
LARGE = 2.0**40  # where `fixed_points` ends
COLUMNS = 120  # of a terminal

Rows = list[tuple[str, str, str]]  # what it is called, its value, what it means


def phase(chi: float) -> str:
    """ordered, critical or chaotic, by chi_1 at q* (Poole et al. 2016); a chi_1 within 1e-8 of 1 is critical."""
    if abs(chi - 1.0) <= NEAR_CRITICAL:
        return "critical"
    return "ordered" if chi < 1.0 else "chaotic"


def number(x: float) -> str:
    """x to 7 significant digits, without zeros at the end."""
    return f"{x:.{DIGITS}g}"


def answer(name: str, sigma_w2: float, sigma_b2: float) -> str:
    """What becomes of signals and gradients in layers of the activation `name`; for sigma_w2 and sigma_b2 >= 0.

    Raises UserError if signals go to a q* that is greater than 0, but too small for `fixed_points`, and for an
    activation that is declared to have no theory.
    """
    activation = ACTIVATIONS[name]
    if activation.without_theory:
        raise UserError(f"Theory does not cover {name}: {activation.without_theory}.")
    head = f"{name}, sigma_w2 = {number(sigma_w2)} (gain {number(math.sqrt(sigma_w2))}), sigma_b2 = {number(sigma_b2)}"
    stable = mean_field.fixed_points(sigma_w2, sigma_b2, activation)
    chis = [chi_1(q, sigma_w2, activation) for q in stable]
    parts = []
    if stable:
        if stable[0] == 0.0 and phase(chis[0]) == "chaotic":
            raise UserError(f"{name} at sigma_w2 = {sigma_w2} is so near to critical that q* is too small to be found.")
        parts += [_settled(number(q), q, sigma_w2, sigma_b2, activation) for q in stable]
        if len(stable) > 1:
            head += f"\n{len(stable)} stable q*: the variance at first decides to which of them signals go."
        if _grows_beyond(stable[-1], sigma_w2, sigma_b2, activation):
            parts.append([("large q", "grows", "without end, from some variance above q* on")])
    elif _every_q_stays(sigma_w2, sigma_b2, activation):
        chis = [chi_1(1.0, sigma_w2, activation)]
        parts.append(_settled("any", 1.0, sigma_w2, sigma_b2, activation))
    else:
        parts.append(_growing(sigma_w2, sigma_b2, activation))
    if not chis or any(phase(chi) != "critical" for chi in chis):
        parts.append([("critical", *_would_be_critical(sigma_b2, activation))])
    return "\n\n".join([head, *map(_aligned, parts)]) + "\n"


def width_facts(hidden: Sequence[int]) -> str:
    """What finite width adds for ReLU and He's weights, exactly: hidden layers of these widths, at one input."""
    typical = float(elementary.exp(log_signal(hidden).mean))
    rows = [
        ("growth", number(second_moment_growth(hidden)), "is E[m^2] / E[m]^2, where wide layers have 1"),
        ("typical", number(typical), "is e^E[log m] / E[m], of networks that live, where wide layers have 1"),
        ("born dead", number(born_dead(hidden)), "is the probability that some layer is all 0 (Lu et al. 2019)"),
    ]
    head = f"He's weights in hidden layers of {cut(', '.join(map(str, hidden)))} units, at one input"
    return f"{head};\nm is the mean square of the last hidden activations (Hanin & Rolnick 2018)\n\n{_aligned(rows)}\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the answer."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.theory",
        description="Say whether signals and gradients survive in layers of an activation.",
    )
    parser.add_argument("activation", nargs="?", help=", ".join(ACTIVATIONS))
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--sigma-w2", metavar="VALUE", help="fan_in Var(W)")
    scale.add_argument("--gain", metavar="VALUE", help="its root")
    parser.add_argument("--sigma-b2", metavar="VALUE", help="Var(b), 0 if not given")
    parser.add_argument("--hidden", metavar="WIDTHS", help="such as 10,5: what width adds to ReLU with He's weights")
    try:
        print(_asked(**vars(parser.parse_args(arguments))), end="")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _asked(
    activation: str | None, sigma_w2: str | None, gain: str | None, sigma_b2: str | None, hidden: str | None
) -> str:
    """What is to be printed; raises UserError."""
    if activation is None:
        raise UserError(f"An activation must be named before its options: {', '.join(ACTIVATIONS)}.")
    if activation not in ACTIVATIONS:
        close = hint(nearest(activation, ACTIVATIONS))
        raise UserError(f"The activation is {shown(activation)}; it must be one of {', '.join(ACTIVATIONS)}{close}.")
    if gain is not None:
        sigma_w = _value("--gain", gain)
        weights = sigma_w * sigma_w
    elif sigma_w2 is not None:
        weights = _value("--sigma-w2", sigma_w2)
    else:
        raise UserError(f"The scale of the weights is missing: {activation} needs --gain or --sigma-w2, its square.")
    biases = 0.0 if sigma_b2 is None else _value("--sigma-b2", sigma_b2)
    widths = [] if hidden is None else _widths(hidden)
    if widths and not (activation == "relu" and abs(weights - 2.0) <= NEAR_CRITICAL and biases == 0.0):
        raise UserError("--hidden is for He's weights alone: relu --sigma-w2 2 --sigma-b2 0.")
    return answer(activation, weights, biases) + (f"\n{width_facts(widths)}" if widths else "")


def _value(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
        text = shown(text)
    if not 0.0 <= value <= LARGEST[option]:
        raise UserError(f"{option} holds {cut(text.strip())}; it must be a number from 0 to {LARGEST[option]:.0f}.")
    return abs(value)


def _widths(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    plain = all(part.isascii() and part.isdigit() and len(part) <= len(str(MAX_WIDTH)) for part in parts)
    widths = [int(part) for part in parts] if plain else []
    if not 1 <= len(widths) <= MAX_HIDDEN or not all(1 <= n <= MAX_WIDTH for n in widths):
        raise UserError(
            f"--hidden holds {shown(text)}; it must be 1 to {MAX_HIDDEN} widths, "
            f"whole numbers from 1 to {MAX_WIDTH}, such as 10,5."
        )
    return widths


def _settled(label: str, q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> Rows:
    """What holds at a q that maps onto itself and attracts; or at any, where every q stays."""
    chi = chi_1(q, sigma_w2, activation)
    what = phase(chi)
    if label == "any":
        meaning = "every variance of pre-activations stays as it is"
    elif q > 0.0:
        meaning = "this variance of pre-activations stays, and attracts those nearby"
    else:
        meaning = "signals die out" + (", but slower than exponentially" if what == "critical" else "")
    if what == "critical":
        effect, gradients = "chi_1 = 1", ("stay", "their second moment is kept")
    else:
        scale = _layers(depth_scale(min(chi, 1.0 / chi)) if chi > 0.0 else 0.0)
        below = chi < 1.0
        effect = "chi_1 < 1: inputs come to look the same" if below else "chi_1 > 1: inputs close to each other part"
        gradients = ("vanish" if below else "explode", f"their second moment by a factor e in {scale}")
    correlations = xi_c(q, sigma_w2, sigma_b2, activation)
    return [
        ("stable q*", label, meaning),
        ("chi_1", number(chi), "by this the second moment of gradients grows in a layer, going down"),
        ("phase", what, effect),
        ("c*", *_correlation(q, what, sigma_w2, sigma_b2, activation)),
        ("xi_q", _layers(mean_field.xi_q(q, sigma_w2, sigma_b2, activation)), "in which a small |q - q*| shrinks by e"),
        ("xi_c", _layers(correlations), f"in which a small {'|c - c*|' if q > 0.0 else 'distance'} shrinks by e"),
        ("gradients", *gradients),
        ("trainable", *_trainable(correlations)),
    ]


def _correlation(q: float, what: str, sigma_w2: float, sigma_b2: float, activation: Activation) -> tuple[str, str]:
    """c* and what it means."""
    if q == 0.0:
        return "none", "two signals that die out"
    # a convex map that ends at c = 1 with a slope of 1 meets the diagonal elsewhere only by being it
    if what == "critical" and abs(correlation_map(0.5, q, sigma_w2, sigma_b2, activation) - 0.5) <= ROUNDING:
        return "any", "every correlation of two inputs stays as it is"
    c = fixed_correlation(q, sigma_w2, sigma_b2, activation)
    return near_0(c), "the correlation of two inputs goes there, if it is not negative at first"


def _trainable(correlations: float) -> tuple[str, str]:
    rule = f"up to {TRAINABLE:g} xi_c, a rule of thumb of Schoenholz et al. (2017)"
    if correlations == math.inf:
        return "any depth", f"{rule}; nothing is lost exponentially"
    return f"{round(TRAINABLE * correlations)} layers", rule


def _growing(sigma_w2: float, sigma_b2: float, activation: Activation) -> Rows:
    """What holds where no q maps onto itself and attracts, and signals grow without end."""
    after = number(length_map(1.0, sigma_w2, sigma_b2, activation))
    chi = number(chi_1(LARGE, sigma_w2, activation))
    return [
        ("stable q*", "none", f"signals grow without end: q = 1 becomes {after} in the next layer"),
        ("chi_1", chi, f"by this the second moment of gradients grows in a layer, at q = {number(LARGE)}"),
        ("phase", "none", "phases are told apart at a stable q*"),
    ]


def _would_be_critical(sigma_b2: float, activation: Activation) -> tuple[str, str]:
    point = critical(activation, sigma_b2)
    if isinstance(point, str):
        return "none", point.replace("bias_variance", "sigma_b2").replace("sigma_w^2", "sigma_w2")
    gain = number(math.sqrt(point.weight_variance))
    q = q_star(point.weight_variance, sigma_b2, point.q, activation)
    return number(point.weight_variance), f"is the sigma_w2 at which chi_1 = 1 (gain {gain}, q* = {q})"


def critical(activation: Activation, sigma_b2: float) -> Critical | str:
    """The critical point, or why there is none."""
    try:
        return critical_point(activation, sigma_b2)
    except ValueError as error:
        return str(error).rpartition(": ")[2]


def _every_q_stays(sigma_w2: float, sigma_b2: float, activation: Activation) -> bool:
    changes = ((length_map(q, sigma_w2, sigma_b2, activation) - q) / q for q in (2.0**-10, 1.0, 2.0**10))
    return all(abs(change) <= ROUNDING for change in changes)


def _grows_beyond(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> bool:
    """Whether some variance above the largest stable q grows: it will not stop, then."""
    larger = (4.0**k for k in range(-20, 21) if 4.0**k > 2.0 * q)
    return any(length_map(x, sigma_w2, sigma_b2, activation) - x > ROUNDING * x for x in larger)


def q_star(sigma_w2: float, sigma_b2: float, q: float, activation: Activation) -> str:
    return "any" if _every_q_stays(sigma_w2, sigma_b2, activation) else number(q)


def near_0(x: float) -> str:
    """A number good to 1e-12 of 1, so that less than that is 0."""
    return number(x if abs(x) > ROUNDING else 0.0)


def _layers(depth: float) -> str:
    return "infinite" if depth == math.inf else f"{depth:.{LAYER_DIGITS}g} layers"


def _aligned(rows: Rows) -> str:
    lines = (f"{label:<9}  {value:<13}  {meaning}" for label, value, meaning in rows)
    return "\n".join(textwrap.fill(line, COLUMNS, subsequent_indent=" " * 26) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
