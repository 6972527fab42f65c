"""Stage `birth`: what the newborn models of all initializers are like, beside theory: reports/birth.md and its figures.

It needs no training: `dvc repro birth` stops here.
"""

import sys

from pipeline import birth_figures, birth_report, birth_table, figures, laws, params, predictions, storage, verdicts
from pipeline.birth_table import Newborn
from pipeline.network_initializers import Birth


def birth() -> None:
    """Write reports/birth.csv, birth.md and their figures."""
    P = params.load()
    storage.prune(list(P.initializers))
    X, Y = storage.read_samples(storage.DATA / "train.csv", P.data.n_train, P.data.n_inputs, P.data.n_classes)
    known = Birth(P.layers_dims, P.network.activations, X)
    n_layers = len(P.layers_dims) - 1
    plan = verdicts.plan(P.training.learning_rate, P.training.momentum, P.training.iterations, Y)
    newborn, words, histograms = {}, {}, {}
    silence: dict[str, str] = {}
    estimated = [name for name, recipe in P.initializers.items() if laws.is_own(recipe)]
    for name, recipe in P.initializers.items():
        layers, models = storage.read_birth(name, P.seeds, n_layers)
        units = storage.read_units(name, P.seeds, n_layers)
        law = laws.without_theory(P.network.activations) or (
            laws.estimated(layers, P.layers_dims) if name in estimated else laws.laws(recipe, known)
        )
        if isinstance(law, str):
            silence[name] = law
        theory = None if isinstance(law, str) else predictions.predicted(law, P.layers_dims, X, P.network.activations)
        dead = [units[f"dead{l}"] for l in range(1, n_layers)]
        newborn[name] = Newborn(layers, models, dead, theory)
        words[name] = verdicts.verdicts(layers, models, n_layers, plan)
        histograms[name] = birth_figures.pooled(units, n_layers)
    table = birth_table.table(newborn)
    text = birth_report.birth(table, words, silence, P.layers_dims, estimated)
    drawn = {
        "depth": birth_figures.depth(table),
        "activations": birth_figures.activations(histograms),
    }
    storage.write_table("birth", table)
    storage.write_text(storage.REPORTS / "birth.md", text)
    for name, figure in drawn.items():
        storage.write_bytes(storage.FIGURES / f"{name}.png", figures.png(figure))


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(birth))
