"""The command `python -m pipeline.theory`: predictions of mean-field theory for one activation, as text.

`python -m pipeline.theory tanh --gain 1.6666666666666667` reports the fixed points, phases and depth scales of signals
and gradients in layers with that activation, whose weights have the standard deviation gain / sqrt(fan_in);
`--sigma-w2` sets its square, fan_in Var(W), instead. `reporting.activations_page` has a table of all activations.
"""

import argparse
import math
import sys
import textwrap
from collections.abc import Sequence

from pipeline.config.messages import corrected, cut, nearest, shown
from pipeline.errors import UserError
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.edge_of_chaos import Critical, critical_point
from pipeline.numerics import elementary
from pipeline.theory import mean_field
from pipeline.theory.correlation import correlation_map, fixed_correlation, xi_c
from pipeline.theory.finite_width import born_dead, log_signal, second_moment_growth
from pipeline.theory.mean_field import NEAR_CRITICAL, chi_1, depth_scale, length_map

DIGITS = 7  # significant digits
LAYER_DIGITS = 4  # significant digits of a number of layers
ERROR_BOUND = 1e-12  # error bound of means, correlations and relative changes of q
TRAINABLE = 6.0  # networks up to 6 xi_c layers deep can be trained (Schoenholz et al. 2017)
LARGEST = {
    "--sigma-w2": 1e6,
    "--gain": 1e3,
    "--sigma-b2": 100.0,
}  # within these bounds `critical_point` finds every point
MAX_WIDTH, MAX_HIDDEN = 10_000, 300
LARGE = 2.0**40  # the upper bound of `fixed_points`
COLUMNS = 120  # line width of the output

Rows = list[tuple[str, str, str]]  # label, value, meaning


def phase(chi: float) -> str:
    """The phase for chi_1 at q* (Poole et al. 2016): ordered, chaotic, or critical if within 1e-8 of 1."""
    if abs(chi - 1.0) <= NEAR_CRITICAL:
        return "critical"
    return "ordered" if chi < 1.0 else "chaotic"


def format_value(x: float) -> str:
    """x to 7 significant digits, without trailing zeros."""
    return f"{x:.{DIGITS}g}"


def answer(name: str, sigma_w2: float, sigma_b2: float) -> str:
    """The report on signals and gradients in layers with the activation `name`, for sigma_w2 and sigma_b2 >= 0.

    Raises UserError if q* is greater than 0 but too small for `fixed_points`, and for an activation declared as
    `without_theory`.
    """
    activation = ACTIVATIONS[name]
    if activation.without_theory:
        raise UserError(f"Theory does not cover {name}: {activation.without_theory}.")
    gain = format_value(math.sqrt(sigma_w2))
    head = f"{name}, sigma_w2 = {format_value(sigma_w2)} (gain {gain}), sigma_b2 = {format_value(sigma_b2)}"
    stable = mean_field.fixed_points(sigma_w2, sigma_b2, activation)
    chis = [chi_1(q, sigma_w2, activation) for q in stable]
    parts = []
    if stable:
        if stable[0] == 0.0 and phase(chis[0]) == "chaotic":
            raise UserError(
                f"{name} at sigma_w2 = {sigma_w2} is too close to critical: q* is too small to be computed."
            )
        parts += [_fixed_point_rows(format_value(q), q, sigma_w2, sigma_b2, activation) for q in stable]
        if len(stable) > 1:
            head += f"\n{len(stable)} stable q*: which one is reached depends on the initial variance."
        if _grows_beyond(stable[-1], sigma_w2, sigma_b2, activation):
            parts.append([("large q", "grows", "without bound, above some variance greater than q*")])
    elif _every_q_is_fixed(sigma_w2, sigma_b2, activation):
        chis = [chi_1(1.0, sigma_w2, activation)]
        parts.append(_fixed_point_rows("any", 1.0, sigma_w2, sigma_b2, activation))
    else:
        parts.append(_unstable_rows(sigma_w2, sigma_b2, activation))
    if not chis or any(phase(chi) != "critical" for chi in chis):
        parts.append([("critical", *_critical_cells(sigma_b2, activation))])
    return "\n\n".join([head, *map(_format, parts)]) + "\n"


def width_facts(hidden: Sequence[int]) -> str:
    """Exact finite-width results for ReLU layers of these widths with He's weights, at one input, as text."""
    typical = float(elementary.exp(log_signal(hidden).mean))
    rows = [
        (
            "growth",
            format_value(second_moment_growth(hidden)),
            "E[m^2] / E[m]^2, which is 1 in the limit of wide layers",
        ),
        (
            "typical",
            format_value(typical),
            "e^E[log m] / E[m] of networks that are not dead, 1 in the limit of wide layers",
        ),
        (
            "born dead",
            format_value(born_dead(hidden)),
            "probability that all units of some layer are 0 (Lu et al. 2019)",
        ),
    ]
    head = f"He's weights in hidden layers of {cut(', '.join(map(str, hidden)))} units, at one input"
    return f"{head};\nm is the mean square of the last hidden activations (Hanin & Rolnick 2018)\n\n{_format(rows)}\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code; problems are printed to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.theory",
        description="Predict signals and gradients in deep layers with an activation, by mean-field theory.",
    )
    parser.add_argument("activation", nargs="?", help=", ".join(ACTIVATIONS))
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--sigma-w2", metavar="VALUE", help="fan_in Var(W)")
    scale.add_argument("--gain", metavar="VALUE", help="sqrt(fan_in Var(W)), the square root of sigma_w2")
    parser.add_argument("--sigma-b2", metavar="VALUE", help="Var(b), 0 by default")
    parser.add_argument(
        "--hidden", metavar="WIDTHS", help="such as 10,5: finite-width results for ReLU with He's weights"
    )
    try:
        print(_report(**vars(parser.parse_args(arguments))), end="")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _report(
    activation: str | None, sigma_w2: str | None, gain: str | None, sigma_b2: str | None, hidden: str | None
) -> str:
    """The text to print, from the arguments of the command. Raises UserError if one is missing or invalid."""
    if activation is None:
        raise UserError(f"The activation is missing; give one of {', '.join(ACTIVATIONS)}.")
    if activation not in ACTIVATIONS:
        problem, allowed = f"The activation is {shown(activation)}", f"it must be one of {', '.join(ACTIVATIONS)}"
        raise UserError(corrected(problem, nearest(activation, ACTIVATIONS), allowed))
    if gain is not None:
        sigma_w = _value("--gain", gain)
        weights = sigma_w * sigma_w
    elif sigma_w2 is not None:
        weights = _value("--sigma-w2", sigma_w2)
    else:
        raise UserError("The scale of the weights is missing; give --gain or --sigma-w2, its square.")
    biases = 0.0 if sigma_b2 is None else _value("--sigma-b2", sigma_b2)
    widths = [] if hidden is None else _widths(hidden)
    if widths and not (activation == "relu" and abs(weights - 2.0) <= NEAR_CRITICAL and biases == 0.0):
        raise UserError("--hidden requires He's weights: relu --sigma-w2 2 --sigma-b2 0.")
    return answer(activation, weights, biases) + (f"\n{width_facts(widths)}" if widths else "")


def _value(option: str, text: str) -> float:
    """The number given for an option. Raises UserError unless it is between 0 and LARGEST."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
        text = shown(text)
    if not 0.0 <= value <= LARGEST[option]:
        raise UserError(f"{option} holds {cut(text.strip())}; it must be a number from 0 to {LARGEST[option]:.0f}.")
    return abs(value)


def _widths(text: str) -> list[int]:
    """The widths given as "10,5". Raises UserError for other text."""
    parts = [part.strip() for part in text.split(",")]
    plain = all(part.isascii() and part.isdigit() and len(part) <= len(str(MAX_WIDTH)) for part in parts)
    widths = [int(part) for part in parts] if plain else []
    if not 1 <= len(widths) <= MAX_HIDDEN or not all(1 <= n <= MAX_WIDTH for n in widths):
        raise UserError(
            f"--hidden holds {shown(text)}; it must be 1 to {MAX_HIDDEN} widths, "
            f"whole numbers from 1 to {MAX_WIDTH}, such as 10,5."
        )
    return widths


def _fixed_point_rows(label: str, q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> Rows:
    """The rows for a stable fixed point q; if every q is a fixed point, `label` is "any"."""
    chi = chi_1(q, sigma_w2, activation)
    what = phase(chi)
    if label == "any":
        meaning = "every variance of pre-activations is a fixed point"
    elif q > 0.0:
        meaning = "stable fixed point of the variance of pre-activations"
    else:
        meaning = "signals vanish" + (", but slower than exponentially" if what == "critical" else "")
    if what == "critical":
        effect, gradients = "chi_1 = 1", ("stable", "their second moment is preserved")
    else:
        scale = _layers(depth_scale(min(chi, 1.0 / chi)) if chi > 0.0 else 0.0)
        below = chi < 1.0
        effect = "chi_1 < 1: inputs become correlated" if below else "chi_1 > 1: nearby inputs diverge"
        gradients = ("vanish" if below else "explode", f"their second moment changes by a factor e in {scale}")
    correlations = xi_c(q, sigma_w2, sigma_b2, activation)
    return [
        ("stable q*", label, meaning),
        ("chi_1", format_value(chi), "factor of the second moment of gradients per layer, in the backward pass"),
        ("phase", what, effect),
        ("c*", *_c_star_cells(q, what, sigma_w2, sigma_b2, activation)),
        (
            "xi_q",
            _layers(mean_field.xi_q(q, sigma_w2, sigma_b2, activation)),
            "in which a small |q - q*| decreases by a factor e",
        ),
        (
            "xi_c",
            _layers(correlations),
            f"in which a small {'|c - c*|' if q > 0.0 else 'squared distance'} decreases by a factor e",
        ),
        ("gradients", *gradients),
        ("trainable", *_trainable_cells(correlations)),
    ]


def _c_star_cells(q: float, what: str, sigma_w2: float, sigma_b2: float, activation: Activation) -> tuple[str, str]:
    """c* and its meaning."""
    if q == 0.0:
        return "none", "undefined: signals vanish"
    # a convex map with slope 1 at its fixed point c = 1 has another one only if it is the identity
    if what == "critical" and abs(correlation_map(0.5, q, sigma_w2, sigma_b2, activation) - 0.5) <= ERROR_BOUND:
        return "any", "every correlation of two inputs is a fixed point"
    c = fixed_correlation(q, sigma_w2, sigma_b2, activation)
    return near_0(c), "limit of the correlation of two inputs, if initially nonnegative"


def _trainable_cells(correlations: float) -> tuple[str, str]:
    """The depth up to which networks can be trained, from xi_c, and the rule."""
    rule = f"up to {TRAINABLE:g} xi_c, a rule of thumb of Schoenholz et al. (2017)"
    if correlations == math.inf:
        return "any depth", f"{rule}; no exponential decay"
    return f"{round(TRAINABLE * correlations)} layers", rule


def _unstable_rows(sigma_w2: float, sigma_b2: float, activation: Activation) -> Rows:
    """The rows if there is no stable fixed point, and signals grow without bound."""
    after = format_value(length_map(1.0, sigma_w2, sigma_b2, activation))
    chi = format_value(chi_1(LARGE, sigma_w2, activation))
    return [
        ("stable q*", "none", f"signals grow without bound: q = 1 becomes {after} in the next layer"),
        ("chi_1", chi, f"factor of the second moment of gradients per layer, at q = {format_value(LARGE)}"),
        ("phase", "none", "defined only at a stable q*"),
    ]


def _critical_cells(sigma_b2: float, activation: Activation) -> tuple[str, str]:
    """The critical sigma_w2 and its meaning; or "none" and the reason."""
    point = critical(activation, sigma_b2)
    if isinstance(point, str):
        return "none", point.replace("bias_variance", "sigma_b2").replace("sigma_w^2", "sigma_w2")
    gain = format_value(math.sqrt(point.weight_variance))
    q = q_star(point.weight_variance, sigma_b2, point.q, activation)
    return format_value(point.weight_variance), f"sigma_w2 at which chi_1 = 1 (gain {gain}, q* = {q})"


def critical(activation: Activation, sigma_b2: float) -> Critical | str:
    """The critical point, or the reason why there is none."""
    try:
        return critical_point(activation, sigma_b2)
    except ValueError as error:
        return str(error).rpartition(": ")[2]


def _every_q_is_fixed(sigma_w2: float, sigma_b2: float, activation: Activation) -> bool:
    """Whether every q is a fixed point, checked at three values."""
    changes = ((length_map(q, sigma_w2, sigma_b2, activation) - q) / q for q in (2.0**-10, 1.0, 2.0**10))
    return all(abs(change) <= ERROR_BOUND for change in changes)


def _grows_beyond(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> bool:
    """Whether some variance above the largest stable q grows, and hence grows without bound."""
    larger = (4.0**k for k in range(-20, 21) if 4.0**k > 2.0 * q)
    return any(length_map(x, sigma_w2, sigma_b2, activation) - x > ERROR_BOUND * x for x in larger)


def q_star(sigma_w2: float, sigma_b2: float, q: float, activation: Activation) -> str:
    """q as text, or "any" if every q is a fixed point."""
    return "any" if _every_q_is_fixed(sigma_w2, sigma_b2, activation) else format_value(q)


def near_0(x: float) -> str:
    """`number` of x with an absolute error of 1e-12: "0" if x is smaller."""
    return format_value(x if abs(x) > ERROR_BOUND else 0.0)


def _layers(depth: float) -> str:
    """A number of layers as text."""
    return "infinite" if depth == math.inf else f"{depth:.{LAYER_DIGITS}g} layers"


def _format(rows: Rows) -> str:
    """Rows as text in three columns."""
    lines = (f"{label:<9}  {value:<13}  {meaning}" for label, value, meaning in rows)
    return "\n".join(textwrap.fill(line, COLUMNS, subsequent_indent=" " * 26) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
