"""A replication in a folder of its own, to be changed at will."""

import itertools
from pathlib import Path

PARAMS = """\
data: {name: circles, n_train: 30, n_test: 20, noise: 0.05, train_seed: 1, test_seed: 2}
network: {hidden_sizes: [4], activation: relu}
training: {iterations: 40, learning_rate: 0.1, batch_size: full, momentum: 0.0, record_every: 20}
seeds: [3, 5]
initializers: {he: {recipe: he_normal}}
replication: {factor: 2.0}
"""
PUBLISHED = """\
figure,quantity,published,least,most,source
1,"twice, the first",,1.5,2.5,theory
1,shown,7.5,,,plotted
2,upper bound,,,3,theory
"""
CODE = '''\
"""Numbers are doubled.

Setting: no network.
"""

from matplotlib.figure import Figure

from pipeline.config.replications import Experiment
from pipeline.config.schema import Positive
from pipeline.config.validation import Section
from pipeline.replications.measurement import Measurement, Replication

TITLE = "Doubling"
FIGURE = "The paper has none."


class Own(Section):
    """The factor."""

    factor: Positive


class Settings(Experiment):
    """The sections of params.yaml."""

    replication: Own


def measure(settings, advance):
    x = settings.replication.factor
    advance(1)
    return Replication([Measurement("upper bound", x), Measurement("twice, the first", x, x - 0.5, x + 0.5, 2.0), Measurement("shown", 7.0)], {})


def draw(tables):
    return Figure()
'''
NAMES = (f"paper_{number}" for number in itertools.count())  # modules are imported once


def make(root: Path, name: str = "", params: str = PARAMS, published: str = PUBLISHED, code: str = CODE) -> str:
    """Write the three files of a replication; its name."""
    name = name or next(NAMES)
    folder = root / "replications" / name
    folder.mkdir(parents=True)
    for file, text in (("params.yaml", params), ("published.csv", published), ("replication.py", code)):
        (folder / file).write_text(text, encoding="utf-8")
    return name
