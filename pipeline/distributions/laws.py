"""The catalogue of laws: distributions of weights that initializers document, and those of frequent mistakes."""

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.distributions.families import FAMILIES, NORMAL, TRUNCATED, UNIFORM, Family
from pipeline.initializers.fan_scaling import STD_WITHIN_2

CORRECTED = STD_WITHIN_2 * STD_WITHIN_2  # variance of the truncated normal distribution before it is corrected


class Fans(NamedTuple):
    """What the variance of a layer's weights depends on."""

    fan_in: int
    fan_out: int
    hidden_size: int = 0  # of a recurrent layer


class Law(NamedTuple):
    """Independent draws of one distribution."""

    name: str
    family: Family
    variance: float
    mean: float = 0.0
    documented: bool = True  # by a framework or a paper; else a mistake
    free: bool = False  # mean or variance are estimated from the weights

    @property
    def std(self) -> float:
        return math.sqrt(self.variance)


class Rule(NamedTuple):
    """The law of one initializer for layers of any size."""

    name: str
    family: Family
    variance: Callable[[Fans], float]
    documented: bool = True
    mean: float = 0.0


def _in(scale: float) -> Callable[[Fans], float]:
    return lambda fans: scale / fans.fan_in


def _out(scale: float) -> Callable[[Fans], float]:
    return lambda fans: scale / fans.fan_out


def _both(scale: float) -> Callable[[Fans], float]:
    return lambda fans: 2.0 * scale / (fans.fan_in + fans.fan_out)


def _fixed(variance: float) -> Callable[[Fans], float]:
    return lambda fans: variance


def _changed(rule: Callable[[Fans], float], change: Callable[[float], float]) -> Callable[[Fans], float]:
    return lambda fans: change(rule(fans))


TANH_GAIN = 25.0 / 9.0  # squared, of torch.nn.init.calculate_gain("tanh")
SELU_GAIN = 9.0 / 16.0  # squared, of calculate_gain("selu")
SCALES = (("he", _in(2.0)), ("xavier", _both(1.0)), ("lecun", _in(1.0)))
SUFFIXES = ((NORMAL, "_normal"), (UNIFORM, "_uniform"), (TRUNCATED, "_truncated_normal"))
MISTAKES: tuple[tuple[str, Family, str, Callable[[float], float]], ...] = (  # and what each does to the variance
    ("normal", NORMAL, "with the variance as standard deviation", lambda variance: variance * variance),
    ("uniform", UNIFORM, "without the factor sqrt(3)", lambda variance: variance / 3.0),
    ("truncated_normal", TRUNCATED, "without correction of the variance", lambda variance: variance * CORRECTED),
)

RULES: tuple[Rule, ...] = (
    *(Rule(name + suffix, family, scale) for name, scale in SCALES for family, suffix in SUFFIXES),
    Rule("pytorch_linear", UNIFORM, _in(1.0 / 3.0)),
    Rule("pytorch_recurrent", UNIFORM, lambda fans: 1.0 / (3.0 * fans.hidden_size) if fans.hidden_size else 0.0),
    Rule("sklearn_mlp(activation='logistic')", UNIFORM, _both(1.0 / 3.0)),
    *(Rule(f"he{suffix}(mode='fan_out')", family, _out(2.0)) for family, suffix in SUFFIXES),
    *(Rule(f"lecun{suffix}(mode='fan_out')", family, _out(1.0)) for family, suffix in SUFFIXES),
    *(Rule(f"xavier{suffix}(gain=5/3)", family, _both(TANH_GAIN)) for family, suffix in SUFFIXES[:2]),
    *(Rule(f"xavier{suffix}(gain=sqrt(2))", family, _both(2.0)) for family, suffix in SUFFIXES[:2]),
    *(Rule(f"kaiming{suffix}(nonlinearity='tanh')", family, _in(TANH_GAIN)) for family, suffix in SUFFIXES[:2]),
    *(Rule(f"kaiming{suffix}(nonlinearity='selu')", family, _in(SELU_GAIN)) for family, suffix in SUFFIXES[:2]),
    *(Rule(f"normal(std={std:g})", NORMAL, _fixed(std * std)) for std in (0.01, 0.02, 0.05, 1.0)),
    *(Rule(f"truncated_normal(std={s:g})", TRUNCATED, _fixed(s * s * CORRECTED)) for s in (0.01, 0.02, 0.05, 1.0)),
    Rule("uniform(low=-0.05, high=0.05)", UNIFORM, _fixed(0.0025 / 3.0)),
    Rule("uniform(low=0, high=1)", UNIFORM, _fixed(1.0 / 12.0), mean=0.5),
    Rule("uniform(low=0, high=0.01)", UNIFORM, _fixed(0.0001 / 12.0), mean=0.005),
    *(
        Rule(f"{name}_{kind} {what}", family, _changed(scale, change), False)
        for kind, family, what, change in MISTAKES
        for name, scale in SCALES
    ),
    Rule("normal(std=10)", NORMAL, _fixed(100.0), False),
)
BY_NAME = {rule.name: rule for rule in RULES}
_CALL = re.compile(r"(\w+)\((.*)\)")


def catalogue(fans: Sequence[Fans]) -> list[Law]:
    """The laws of all rules for layers with one of these fans (two if the layout is not known).

    Laws that are equal for these fans are one, whose name joins theirs by " = ", documented ones first.
    """
    found: dict[tuple[str, float, float], Law] = {}
    for rule in RULES:
        for fan in fans:
            variance = rule.variance(fan)
            if not variance > 0.0:
                continue
            key = (rule.family.name, float(f"{variance:.9e}"), rule.mean)
            known = found.get(key)
            if known is None:
                found[key] = Law(rule.name, rule.family, variance, rule.mean, rule.documented)
            elif rule.name not in known.name.split(" = "):
                found[key] = known._replace(name=f"{known.name} = {rule.name}")
    return list(found.values())


def law(name: str, fans: Fans) -> Law:
    """The law that a name of the catalogue, or "normal(std=...)" and the like with other numbers, has for these fans.

    Raises KeyError for other names.
    """
    if name in BY_NAME:
        rule = BY_NAME[name]
        return Law(name, rule.family, rule.variance(fans), rule.mean, rule.documented)
    call = _CALL.fullmatch(name)
    if call is None or call[1] not in {"normal", "uniform", "truncated_normal"}:
        raise KeyError(name)
    try:
        settings = {key.strip(): float(value) for key, value in (part.split("=") for part in call[2].split(","))}
        if call[1] == "uniform":
            low, high = settings["low"], settings["high"]
            return Law(name, UNIFORM, (high - low) * (high - low) / 12.0, 0.5 * low + 0.5 * high)
        std, mean = settings["std"], settings.get("mean", 0.0)
    except (KeyError, ValueError):
        raise KeyError(name) from None
    return Law(name, *((NORMAL, std * std) if call[1] == "normal" else (TRUNCATED, std * std * CORRECTED)), mean)


def estimated(family: str, std: float, mean: float = 0.0) -> Law:
    """The law of a family with mean and standard deviation as measured."""
    kind = FAMILIES[family]
    if kind is UNIFORM:
        name = f"uniform(low={mean - std * kind.bound:.3g}, high={mean + std * kind.bound:.3g})"
    elif kind is TRUNCATED:
        name = f"truncated_normal(std={std / STD_WITHIN_2:.3g})"
    else:
        name = f"normal(std={std:.3g})"
    if mean != 0.0 and kind is not UNIFORM:
        name = name.replace("(", f"(mean={mean:.3g}, ")
    return Law(name, kind, std * std, mean, documented=False, free=True)
