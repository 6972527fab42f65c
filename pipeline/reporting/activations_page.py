"""docs/activations.md: what theory says of each activation, from what is registered and the modules that compute it.

`python -m pipeline.reporting.activations_page` prints it; `phases` answers for any other scale of weights and biases.
"""

import math

from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.edge_of_chaos import Critical, critical_point
from pipeline.reporting.markdown import table
from pipeline.theory import mean_field
from pipeline.theory.mean_field import PYTORCH_GAINS, chi_1
from pipeline.theory.phases import DIGITS, critical, near_0, number, phase, q_star

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
EDGE = (0.0, 0.05, 0.2, 1.0)  # the sigma_b2 of its last table

PAGE = """\
# What theory says of each activation

Made by `python -m pipeline.reporting.activations_page` from what is registered. It holds for wide layers z = W a + b,
a = φ(z) of the layer below, with independent W of mean 0 and variance σ_w² / n_in, and b of variance σ_b². The second
moment q = E[z²] goes from layer to layer as q → σ_w² E[φ²] + σ_b², φ being taken at z ~ N(0, q) (Poole et
al. 2016), and that of gradients grows by χ₁ = σ_w² E[φ'²] in a layer, going down (Schoenholz et al. 2017). Numbers have
{digits} significant digits.

“gelu” is the exact one, PyTorch's default. “hard_sigmoid” is z / 6 + 1 / 2 within [-3, 3], as in PyTorch, JAX and Keras
3; Keras 2 had 0.2 z + 0.5.

For any other σ_w² and σ_b², and for correlations and depth scales, ask:

    python -m pipeline.theory tanh --gain {tanh_gain_digits} --sigma-b2 {some_bias}

## Moments, gains and critical points

- **E[φ], E[φ²], E[φ'²]**: at z ~ N(0, q), q = 1.
- **forward** gain: the σ_w that keeps q = 1 without biases, σ_w² E[φ²] = q (He et al. 2015, eq. 10, for ReLU).
- **backward** gain: the σ_w for which χ₁ = 1 at q = 1. In layers of one width it keeps gradients (He et al. 2015,
  eq. 14, for ReLU). Only where both gains are equal does one σ_w keep both.
- **critical σ_w²** and **q\\***: without biases, χ₁ = 1 at a q* that maps onto itself and attracts those nearby: the
  edge of chaos (Schoenholz et al. 2017; Hayou et al. 2019; Roberts et al. 2022). “any”: every q stays as it is. At
  q* = 0 signals shrink, but slower than exponentially with the depth.

In `params.yaml`, `{{recipe: critical_normal}}` draws with the critical σ_w² of the network's activations; its setting
`bias_variance` is σ_b². `{{recipe: lecun_normal, gain: {tanh_forward}}}` draws with σ_w = {tanh_forward}.

{moments}

{reasons}

## PyTorch's gains

`torch.nn.init.calculate_gain`, as the σ_w of layers without biases. Their phase is **ordered** where χ₁ < 1 at q*:
gradients vanish, and all inputs come to look the same; **chaotic** where χ₁ > 1: gradients explode, and inputs close to
each other part; and **critical** in between (Poole et al. 2016; Schoenholz et al. 2017). A dash: PyTorch has no gain.

{pytorch}

PyTorch's {tanh_gain} for tanh is {tanh_phase}: q goes to {tanh_q}, where χ₁ = {tanh_chi}. The forward gain
{tanh_forward} keeps q = 1, and is {forward_phase}, with χ₁ = {forward_chi}. The gain {critical_gain} is critical.

## The edge of chaos with biases

Under each σ_b² stands the critical σ_w², and then the q* that it leads to (Hayou et al. 2019). A dash: there is none,
and `python -m pipeline.theory NAME --gain 1 --sigma-b2 VALUE` says why.

{edge}
"""


def page() -> str:
    """docs/activations.md."""
    tanh = ACTIVATIONS["tanh"]
    ((q, chi),) = mean_field.pytorch_phase("tanh")
    forward = mean_field.forward_gain(tanh)
    forward_chi = chi_1(1.0, forward * forward, tanh)
    told, reasons = _moments()
    return PAGE.format(
        digits=DIGITS,
        moments=told,
        reasons=reasons,
        pytorch=_pytorch(),
        edge=_edge(),
        some_bias=EDGE[1],
        tanh_gain_digits=PYTORCH_GAINS["tanh"],
        tanh_gain=number(PYTORCH_GAINS["tanh"]),
        tanh_phase=phase(chi),
        tanh_q=number(q),
        tanh_chi=number(chi),
        tanh_forward=number(forward),
        forward_chi=number(forward_chi),
        forward_phase=phase(forward_chi),
        critical_gain=number(math.sqrt(critical_point(tanh, 0.0).weight_variance)),
    )


def _moments() -> tuple[str, str]:
    """The table of moments, gains and critical points, and footnotes for activations without theory or such a point."""
    heads = ["activation", "E[φ]", "E[φ²]", "E[φ'²]", "forward", "backward", "critical σ_w²", "q*"]
    rows, reasons = [], dict[str, str]()
    for name, activation in ACTIVATIONS.items():
        point: Critical | str = critical(activation, 0.0)
        if activation.without_theory:
            point = f"theory does not cover {name}, because {activation.without_theory}"
        if isinstance(point, str):
            of_point = [f"– {reasons.setdefault(point, str(len(reasons) + 1).translate(SUPERSCRIPTS))}", "–"]
        else:
            of_point = [number(point.weight_variance), q_star(point.weight_variance, 0.0, point.q, activation)]
        if activation.without_theory:
            rows.append([name, *"–––––", *of_point])
            continue
        of = mean_field.moments(activation)
        gains = [number(mean_field.forward_gain(activation)), number(mean_field.backward_gain(activation))]
        rows.append([name, near_0(of.mean), number(of.square), number(of.slope_square), *gains, *of_point])
    return table(heads, rows), "\n\n".join(f"{mark} None: {reason}." for reason, mark in reasons.items())


def _pytorch() -> str:
    rows = []
    for name, activation in ACTIVATIONS.items():
        if name in PYTORCH_GAINS and not activation.without_theory:
            gain = PYTORCH_GAINS[name]
            for q, chi in mean_field.pytorch_phase(name):
                rows.append([name, number(gain), q_star(gain * gain, 0.0, q, activation), number(chi), phase(chi)])
        else:
            rows.append([name, *"––––"])
    return table(["activation", "gain", "q*", "χ₁", "phase"], rows, left=(0, 4))


def _edge() -> str:
    heads = ["activation", *(head for v in EDGE for head in (f"σ_b² = {v:g}", "q*"))]
    rows = []
    for name, activation in ACTIVATIONS.items():
        row = [name]
        for v in EDGE:
            point = critical(activation, v)
            if isinstance(point, str):
                row += ["–", "–"]
            else:
                row += [number(point.weight_variance), q_star(point.weight_variance, v, point.q, activation)]
        if any(cell != "–" for cell in row[1:]):
            rows.append(row)
    return table(heads, rows)


if __name__ == "__main__":
    print(page(), end="")
