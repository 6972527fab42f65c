"""docs/initializers.md: every recipe, its law, what PyTorch, Keras and JAX call it, and when to use it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.config.frameworks import FRAMEWORKS
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES

PAGE = """\
# Initializers

Made by `python -m pipeline.reporting.initializers_page` from what is registered. A recipe in `params.yaml` has the
settings behind its name; those with a value may be left out. Every recipe may be given besides

- `gain`: a factor of all weights (1), and `bias`: a number added to all biases (0);
- `layers`: what single layers have otherwise, as `{{3: {{gain: 0.5}}, 1: {{recipe: normal, std: 1.0}}}}`; from 1.

W has shape (fan_out, fan_in), as in PyTorch; JAX, Keras and scikit-learn store the transpose. Biases are born zero but
where the law says otherwise. n_in is fan_in, n_out fan_out.

## Layer by layer

{layers}
## For a network as a whole

These look at the activations, the training data or the whole shape.

{networks}"""


def page() -> str:
    """docs/initializers.md."""
    return PAGE.format(layers=table(RECIPES), networks=table(NETWORK_RECIPES))


def table(registry: Mapping[str, Callable[..., Any]]) -> str:
    """The rows of the recipes in Markdown, with their settings."""
    lines = ["| recipe | law | PyTorch | Keras | JAX | for |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {' | '.join([law_and_use(name, factory), *FRAMEWORKS[name]])} |" for name, factory in registry.items()
    ]
    return "\n".join(lines) + "\n"


def law_and_use(name: str, factory: Callable[..., Any]) -> str:
    """A recipe and its settings: `he_normal` negative_slope = 0.0, mode = fan_in."""
    settings = inspect.signature(factory).parameters.values()
    each = [s.name if s.default is s.empty else f"{s.name} = {s.default}" for s in settings]
    return " ".join([f"`{name}`", ", ".join(each)]).strip()


if __name__ == "__main__":
    print(page(), end="")
