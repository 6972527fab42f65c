"""One word for what a network is at birth, from what `births` measures. Pure. All rules and thresholds are here."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Model = Mapping[str, Sequence[float]]  # from a column of births to the values of one model, a value a layer

MOST = 0.5
FACTOR = 100.0


class Verdict(NamedTuple):
    """The word, and the measurement that gave it; empty if nothing did."""

    word: str
    measured: str

    def __str__(self) -> str:
        return f"{self.word}: {self.measured}" if self.measured else self.word


class Kind(NamedTuple):
    """A word, the rule that gives it, why, and the rule as code: the measurement in words, or nothing."""

    word: str
    rule: str
    why: str
    measured: Callable[[Model], str]


def frozen(model: Model) -> str:
    """Whether no weight can move."""
    return "" if any(gradient != 0.0 for gradient in model["weight_gradient"]) else "all gradients 0"


def symmetric(model: Model) -> str:
    """The hidden layer with the smallest share of units that are told apart."""
    layers = list(zip(model["told_apart"], model["units"], strict=True))[:-1]
    told_apart, units = min(layers, key=lambda layer: layer[0] / layer[1], default=(1, 1))
    return f"{told_apart:.0f} of {units:.0f} units distinct" if told_apart < units else ""


def saturated(model: Model) -> str:
    """The layer with the largest share of saturated units, the output first."""
    *hidden, outputs = model["saturated"]
    if outputs > MOST:
        return f"{100 * outputs:.0f} % of outputs"
    share = max(hidden, default=0.0)
    return f"{100 * share:.0f} % of layer {hidden.index(share) + 1}" if share > MOST else ""


def vanishing(model: Model) -> str:
    """The smallest factor, if it is below 1 / FACTOR."""
    what, layer, factor = min(factors(model), key=lambda f: f[2], default=("", 0, 1.0))
    return f"{what} × {_short(factor)} in layer {layer}" if factor < 1.0 / FACTOR else ""


def exploding(model: Model) -> str:
    """The largest factor, if it is above FACTOR or not finite."""
    if not all(map(math.isfinite, [*model["z_square"], *model["gradient"], *(f[2] for f in factors(model))])):
        return "beyond the largest number"
    what, layer, factor = max(factors(model), key=lambda f: f[2], default=("", 0, 1.0))
    return f"{what} × {_short(factor)} in layer {layer}" if factor > FACTOR else ""


def factors(model: Model) -> list[tuple[str, int, float]]:
    """(what, layer, factor): root mean square of a layer's pre-activations over that of the inputs, and of its
    gradient by them over the last layer's. Without those that are 0 / 0."""
    (inputs,) = model["input_square"]
    signals = [("signal", l, _ratio(math.sqrt(z), math.sqrt(inputs))) for l, z in enumerate(model["z_square"], start=1)]
    last = model["gradient"][-1]
    gradients = [("gradient", l, _ratio(d, last)) for l, d in enumerate(model["gradient"], start=1)]
    return [factor for factor in signals + gradients if not math.isnan(factor[2])]


def _short(factor: float) -> str:
    """1e-6 and 3,000 and 0.004."""
    if factor == 0.0:
        return "0"
    if 0.001 <= factor < 950_000.0:
        return f"{float(f'{factor:.1g}'):,g}"
    digit, _, exponent = f"{factor:.0e}".partition("e")
    return f"{digit}e{int(exponent)}"


def _ratio(value: float, over: float) -> float:
    return value / over if over > 0.0 else math.nan


KINDS = (
    Kind(
        "frozen",
        "every gradient of a weight is 0, or its square below the smallest number",
        "gradient descent cannot move a weight: an activation of 0 leaves the weights above it none, and weights of 0 "
        "those below",
        frozen,
    ),
    Kind(
        "symmetric",
        "in some hidden layer two units have the same weights in and out, so fewer are distinct than there are",
        "equal weights in give equal activations, and with equal weights out equal gradients: the two stay one for "
        "ever (Goodfellow et al. 2016, section 8.4)",
        symmetric,
    ),
    Kind(
        "saturated",
        f"more than {100 * MOST:g} % of the outputs, or of the units of a hidden layer of tanh or sigmoid over the "
        "samples, have a slope below a tenth of the largest: for a sigmoid |z| > 3.64, for tanh |z| > 1.82",
        "the typical unit passes on less than a tenth of its gradient (Glorot & Bengio 2010, section 3); outputs are "
        "so sure of a class, 38 to 1, before anything is learned, that the cost hangs on the wrong ones alone",
        saturated,
    ),
    Kind(
        "vanishing",
        f"the root mean square of some layer's pre-activations is below 1/{FACTOR:g} of the inputs', or that of its "
        f"gradient below 1/{FACTOR:g} of the last layer's",
        f"one learning rate serves all layers, so such a layer needs {FACTOR:g} times the steps of another; and logits "
        f"of a hundredth say 50 % to within 0.3 % of every sample (Hanin & Rolnick 2018 on the two failures)",
        vanishing,
    ),
    Kind(
        "exploding",
        f"one of them is above {FACTOR:g} times, or not finite",
        "a step that suits the last layer is a hundred times too long for that one",
        exploding,
    ),
    Kind("healthy", "none of these", "", lambda model: ""),
)


def verdict(model: Model) -> Verdict:
    """The first of KINDS whose rule holds.

    `model` has the columns units, told_apart, saturated, z_square, gradient and weight_gradient, a value a layer, and
    input_square, one value.
    """
    for kind in KINDS[:-1]:
        if measured := kind.measured(model):
            return Verdict(kind.word, measured)
    return Verdict(KINDS[-1].word, "")


def verdicts(layers: Mapping[str, Any], n_layers: int, input_square: float) -> list[Verdict]:
    """Those of all models, from columns with a row for each model and layer."""
    found = []
    for start in range(0, len(layers["layer"]), n_layers):
        model = {name: list(column[start : start + n_layers]) for name, column in layers.items()}
        found.append(verdict(model | {"input_square": [input_square]}))
    return found
