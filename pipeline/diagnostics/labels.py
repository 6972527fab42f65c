"""A label for what a network is at initialization: whether, and why, gradient descent is expected to fail.

All rules and thresholds are here. docs/diagnostics.md derives them and shows how often each label was right.

Long because the rules share functions, and each is stated with its reason.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pipeline.diagnostics.classes import class_counts
from pipeline.numerics.elementary import log
from pipeline.numerics.sums import Array

Model = Mapping[str, Any]  # the measurements of one model: a list with a value per layer, or one value

SLOWEST, FASTEST = 0.003, 1.0  # the range of learning rates in which a model is expected to have one that works
TOO_FAST = 50.0  # times 2 / sharpness
MOST_OF_A_LAYER = 0.4  # of the norm of its weights, changed in one step
CHAOTIC_SHARPNESS, CHAOTIC_RATIO = 1e6, 1e3
SATURATED = 0.5  # of the units of a layer, over the samples
COLLAPSED = 0.99  # correlation of two inputs in the last hidden layer
COSTLY, BLOCKED = 4.0, 0.05  # initial cost over the entropy of the classes; share of inputs
HUGE, MIN_UNITS = 100.0, 8  # initial cost over the entropy of the classes; active units of a layer
NEGLIGIBLE = 1e-7  # relative change of a layer over that of the fastest
FEW = 0.25  # of the units of a layer


class Plan(NamedTuple):
    """The settings of the training and of the data on which the rules depend."""

    learning_rate: float  # over 1 - momentum
    steps: int
    entropy: float  # of the classes of the training samples, in nats: the cost of the best constant output


def plan(learning_rate: float, momentum: float, steps: int, Y: Array) -> Plan:
    """The plan of a training of so many steps on the class numbers Y (1, m)."""
    return Plan(learning_rate / (1.0 - momentum), steps, class_counts(Y).entropy)


class Label(NamedTuple):
    """A label, and the measurement that gave it as text; "" if there is none."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.reason else self.name


class LabelRule(NamedTuple):
    """A label, its rule and the reason for it in words, and the rule as a function.

    The function returns the measurement as text if the rule applies, else "".
    """

    name: str
    rule: str
    why: str
    reason: Callable[[Model, Plan], str]


def frozen(model: Model, plan: Plan) -> str:
    """Whether no weight has a gradient, or every input is blocked and what is left is too small."""
    if not any(gradient != 0.0 for gradient in model["weight_gradient_rms"]):
        return "all gradients of weights 0"
    return "every input blocked" if model["blocked_inputs"] == 1.0 and stalled(model, plan) else ""


def symmetric(model: Model, plan: Plan) -> str:
    """The hidden layer with the smallest share of distinct units, if at most a quarter of them or one is distinct."""
    hidden = list(zip(model["unique_incoming_outgoing"], model["units"], strict=True))[:-1]
    few = [(n, units) for n, units in hidden if units > 1 and n <= max(1.0, FEW * units)]
    n, units = min(few, key=lambda layer: layer[0] / layer[1], default=(1, 1))
    return f"{n:.0f} of {units:.0f} units distinct" if few else ""


def exploding(model: Model, plan: Plan) -> str:
    """The largest stable learning rate, if even the slowest rate is far above it."""
    sharpness, cost = model["sharpness"], max(model["initial_cost"], plan.entropy)
    sizes = [*model["preactivation_mean_square"], *model["weight_gradient_rms"]]
    numbers = [sharpness, cost, *sizes, model["centered_gradient"]]
    if not all(map(math.isfinite, numbers)):
        return "beyond the largest number"
    chaotic = sharpness > CHAOTIC_SHARPNESS and math.sqrt(sharpness / CHAOTIC_RATIO) > cost
    return f"stable below learning rate {short(2.0 / sharpness)}" if chaotic or too_large(model, SLOWEST) else ""


def saturated(model: Model, plan: Plan) -> str:
    """The hidden layer with most saturated units in a network that stalls, or the initial cost if that is too large."""
    hidden = model["saturated"][:-1]
    share = max(hidden, default=0.0)
    if share > SATURATED and stalled(model, plan):
        return f"{100 * share:.0f} % of layer {hidden.index(share) + 1}"
    cost, active = f"cost {short(model['initial_cost'])}", active_units(model)
    if model["initial_cost"] > COSTLY * plan.entropy and model["blocked_inputs"] >= BLOCKED:
        return f"{cost}, {100 * model['blocked_inputs']:.0f} % of inputs blocked"
    if model["initial_cost"] > HUGE * plan.entropy and min(active, default=MIN_UNITS) < MIN_UNITS:
        return f"{cost}, {min(active):.0f} units active in layer {active.index(min(active)) + 1}"
    return ""


def collapsed(model: Model, plan: Plan) -> str:
    """The correlation of two inputs in the last hidden layer of a network that stalls."""
    correlation = model["correlation"][-2] if len(model["correlation"]) > 1 else math.nan
    return f"correlation {_below_one(correlation)}" if correlation > COLLAPSED and stalled(model, plan) else ""


def vanishing(model: Model, plan: Plan) -> str:
    """The steps that are needed if the network stalls, or the layer whose weights do not move."""
    if stalled(model, plan):
        return f"{short(steps_needed(model, plan, best_rate(model)))} steps needed"
    ratios = relative_gradients(model)
    fastest = max(ratios.values(), default=0.0)
    layer = min((l for l in ratios if ratios[l] > 0.0), key=lambda l: ratios[l], default=0)
    if layer and ratios[layer] < NEGLIGIBLE * fastest:
        return f"gradient × {short(ratios[layer] / fastest)} in layer {layer}"
    return ""


def dead(model: Model, plan: Plan) -> str:
    """The hidden layer with the smallest share of units that are active on some sample, if less than a quarter."""
    hidden = list(zip(active_units(model), model["units"], strict=False))
    share, layer = min(((n / units, l) for l, (n, units) in enumerate(hidden)), default=(1.0, 0))
    if share >= FEW:
        return ""
    n, units = hidden[layer]
    return f"{n:.0f} of {units:.0f} units active in layer {layer + 1}"


def small_rate(model: Model, plan: Plan) -> str:
    """The steps that are needed at the configured learning rate, if that is too small."""
    needed = steps_needed(model, plan, plan.learning_rate)
    return f"{short(needed)} steps needed" if needed > plan.steps else ""


def large_rate(model: Model, plan: Plan) -> str:
    """The largest stable learning rate, if the configured one is far above it."""
    return f"stable below {short(2.0 / model['sharpness'])}" if too_large(model, plan.learning_rate) else ""


def steps_needed(model: Model, plan: Plan, learning_rate: float) -> float:
    """The number of steps of that rate that gradient descent needs to leave the neighbourhood of the initial weights.

    With g the centered gradient and H the entropy of the classes, the smaller of H / (rate g^2), after which the cost
    has fallen by H if g stays as it is, and the time in which L layers of small weights grow large together,
    T = |W| / (rate g) times 1/2 ln(H / (g |W|)), but at least 1, for L = 2, and 1 / (L - 2) for L > 2.
    """
    rate, g, norm = learning_rate, float(model["centered_gradient"]), float(model["weight_norm"])
    n_layers = len(model["units"])
    if g == 0.0:
        return math.inf
    by_cost = plan.entropy / rate / g / g
    if norm == 0.0 or n_layers == 1:
        return by_cost
    factor = 1.0 / (n_layers - 2) if n_layers > 2 else max(1.0, 0.5 * float(log(plan.entropy / g / norm)))
    return min(by_cost, norm / rate / g * factor)


def best_rate(model: Model) -> float:
    """The largest stable learning rate, 2 / sharpness, if that is not above FASTEST."""
    sharpness = float(model["sharpness"])
    return min(FASTEST, 2.0 / sharpness) if sharpness > 0.0 else FASTEST


def stalled(model: Model, plan: Plan) -> bool:
    """Whether even the best learning rate needs more steps than the training has."""
    return steps_needed(model, plan, best_rate(model)) > plan.steps


def too_large(model: Model, learning_rate: float) -> bool:
    """Whether that rate is UNSTABLE times the largest stable one and changes most of a layer in one step."""
    fastest = max(relative_gradients(model).values(), default=0.0)
    return learning_rate * model["sharpness"] / 2.0 > TOO_FAST and learning_rate * fastest > MOST_OF_A_LAYER


def active_units(model: Model) -> list[float]:
    """The number of units of each hidden layer that have a slope other than 0 on some sample."""
    return [units - off for units, off in zip(model["units"], model["dead"], strict=True)][:-1]


def relative_gradients(model: Model) -> dict[int, float]:
    """From the number of each layer whose weights are not all 0 to the norm of their gradient over their own."""
    layers = enumerate(zip(model["weight_gradient_rms"], model["weight_mean_square"], strict=True), start=1)
    return {l: gradient / math.sqrt(square) for l, (gradient, square) in layers if square > 0.0}


def short(number: float) -> str:
    """1e-6, 3,000 and 0.004."""
    if number == 0.0:
        return "0"
    if 0.001 <= number < 950_000.0:
        return f"{float(f'{number:.1g}'):,g}"
    digit, _, exponent = f"{number:.0e}".partition("e")
    return f"{digit}e{int(exponent)}" if exponent else digit


def _below_one(correlation: float) -> str:
    """0.997, 1 - 3e-8 or 1."""
    if correlation >= 1.0:
        return "1"
    return f"{correlation:.3f}" if correlation < 0.9995 else f"1 - {short(max(0.0, 1.0 - correlation))}"


LABEL_RULES = (
    LabelRule(
        "frozen",
        "every gradient of a weight is 0, or every input is blocked (some hidden layer has slope 0 in all units) and "
        "the network stalls as under vanishing",
        "no weight can move, whatever the learning rate. At most biases move, so that the network predicts the most "
        "frequent class for every input and its cost falls to the entropy of the classes at best",
        frozen,
    ),
    LabelRule(
        "symmetric",
        f"in some hidden layer at most {100 * FEW:g} % of the units, or one, are distinct by their weights in and out",
        "equal weights in and out remain equal during training (Goodfellow et al. 2016, section 8.4), so the layer "
        "is equivalent to one of so many units; training fails unless so few units suffice",
        symmetric,
    ),
    LabelRule(
        "exploding",
        f"a number is not finite; or at learning rate {SLOWEST:g}, which is more than {TOO_FAST:g} times the largest "
        f"stable one (2 / sharpness), a step changes some layer by more than {100 * MOST_OF_A_LAYER:g} % of its norm; "
        f"or the sharpness is above {short(CHAOTIC_SHARPNESS)} and above {CHAOTIC_RATIO:,g} times the square of the "
        "cost",
        "the largest step that is stable for one layer is too short for the others (Pascanu et al. 2013). Large logits "
        "alone are no failure: the sharpness grows with their square, and with it the scale of the weights",
        exploding,
    ),
    LabelRule(
        "saturated",
        f"the network stalls as under vanishing and more than {100 * SATURATED:g} % of a hidden layer of tanh or "
        "sigmoid, over units and samples, have a slope below a tenth of the largest (for a sigmoid |z| > 3.64, for "
        f"tanh |z| > 1.82); or the cost is above {COSTLY:g} times the entropy of the classes and at least "
        f"{100 * BLOCKED:g} % of the inputs are blocked, or above {HUGE:g} times and fewer than {MIN_UNITS} units of "
        "some hidden layer are active",
        "gradients through saturated units are small (Glorot & Bengio 2010, section 3). Large logits leave the "
        "hidden layers nearly as they are (Chizat et al. 2019), and with few active units that is not enough",
        saturated,
    ),
    LabelRule(
        "collapsed",
        f"the network stalls as under vanishing and the correlation of two orthogonal inputs is above "
        f"{COLLAPSED:g} in the last hidden layer",
        "different inputs have nearly the same activations; the learning rate is bounded by what they have in common, "
        "and their differences are learned too slowly (Schoenholz et al. 2017; Xiao et al. 2020)",
        collapsed,
    ),
    LabelRule(
        "vanishing",
        f"the network stalls: at the best learning rate r = min({FASTEST:g}, 2 / sharpness) it needs more steps than "
        "the training has, the smaller of H / (r g²) and f |W| / (r g). H is the entropy of the classes, |W| the norm "
        "of all weights and g that of their gradient by the residuals less their mean over the samples; f is "
        "1 / (L - 2) for L layers, ½ ln(H / (g |W|)) but at least 1 for two; or the relative gradient of some layer "
        f"is below {short(NEGLIGIBLE)} of another's",
        "weights leave the neighbourhood of their initial values only after so many steps (Saxe et al. 2014), so that "
        "the cost stays where it is",
        vanishing,
    ),
    LabelRule(
        "dead",
        f"in some hidden layer less than {100 * FEW:g} % of the units have a slope other than 0 on any sample",
        "the other units have no gradient, and the layer is too narrow without them",
        dead,
    ),
    LabelRule(
        "learning rate too small",
        "the configured learning rate needs more steps than the training has, by the formula under vanishing; a larger "
        "one does not",
        "the network is expected to learn at a larger learning rate, or in more steps",
        small_rate,
    ),
    LabelRule(
        "learning rate too large",
        f"the configured learning rate is more than {TOO_FAST:g} times the largest stable one and a step changes some "
        f"layer by more than {100 * MOST_OF_A_LAYER:g} % of its norm",
        "the network is expected to learn at a smaller learning rate",
        large_rate,
    ),
    LabelRule("healthy", "none of these", "", lambda model, plan: ""),
)
RATES = ("learning rate too small", "learning rate too large", "healthy")  # labels of networks that some rate trains


def label_model(model: Model, plan: Plan) -> Label:
    """The label of the first of LABEL_RULES whose rule applies.

    `model` has the columns units, unique_incoming_outgoing, dead, saturated, preactivation_mean_square,
    weight_mean_square, weight_gradient_rms and correlation, a value per layer, and initial_cost, blocked_inputs,
    sharpness, centered_gradient and weight_norm, one value each.
    """
    for rule in LABEL_RULES[:-1]:
        if reason := rule.reason(model, plan):
            return Label(rule.name, reason)
    return Label(LABEL_RULES[-1].name, "")


def label_models(layers: Mapping[str, Any], models: Mapping[str, Any], n_layers: int, plan: Plan) -> list[Label]:
    """The label of each model; `layers` has one row per model and layer, `models` one per model."""
    found = []
    for i in range(len(layers["layer"]) // n_layers):
        model: dict[str, Any] = {
            name: [float(value) for value in column[i * n_layers : (i + 1) * n_layers]]
            for name, column in layers.items()
        }
        found.append(label_model(model | {name: float(column[i]) for name, column in models.items()}, plan))
    return found
