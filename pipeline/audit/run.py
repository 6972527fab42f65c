"""The audit of a model: `audit`."""

from typing import Any

from pipeline.audit.results import Audit
from pipeline.model_files.layers import Layer


def audit_layers(
    layers: list[Layer],
    *,
    source: str = "",
    framework: str = "",
    expect: str | dict[str, str] = "",
    activation: str = "",
    data: Any = None,
    level: float = 0.01,
) -> Audit:
    """The audit of layers in the order of the network.

    `expect` names the law of which weights should be drawn, in the laboratory's or a framework's words ("he_normal",
    "kaiming_uniform_", "HeNormal"), for all layers or by layer name; "" for any documented initializer. `activation` is
    that of the hidden layers, "" if the layers say it or nothing is known. `data` is a batch of inputs (m, n_0).
    """
    raise NotImplementedError
