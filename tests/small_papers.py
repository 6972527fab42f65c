"""The papers of replications/ with other settings, for instance so small that each takes a fraction of a second."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import yaml

from pipeline.config import replications
from pipeline.replications import paper
from pipeline.replications.measurement import Replication

FOLDER = Path(__file__).parents[1] / "replications"
LINE_POINTS = 5  # of theory's lines in figures, where a paper has such lines

# Leaves of params.yaml with which a paper is small
UNTRAINED: dict[str, dict[str, Any]] = {
    "glorot_bengio_2010": {
        "network": {"hidden_sizes": [100] * 5},
        "replication": {"n_inputs": 100, "n_samples": 50, "n_spectra": 1},
    },
    "poole_2016": {"network": {"hidden_sizes": [100] * 8}, "replication": {"n_points": 200, "n_others": 4}},
    "pennington_2017": {"network": {"hidden_sizes": [40] * 30}, "replication": {"depths": [1, 10, 30]}},
    "lu_2019": {"replication": {"n_networks": 200}},
    "hanin_rolnick_2018": {"replication": {"n_networks": 20}},
    "klambauer_2017": {"network": {"hidden_sizes": [64] * 50}, "replication": {"n_inputs": 64, "n_samples": 20}},
    "balduzzi_2017": {
        "network": {"hidden_sizes": [32] * 51},
        "replication": {"n_inputs": 16, "n_points": 9, "n_combinations": 2},
    },
    "hayou_2019": {
        "network": {"hidden_sizes": [100] * 4},
        "replication": {"n_inputs": 100, "n_samples": 8, "map_depths": [100, 1000, 10000]},
    },
}
TRAINED: dict[str, dict[str, Any]] = {
    "he_2015": {
        "data": {"n_train": 60, "n_test": 5},
        "training": {"iterations": 4, "batch_size": 20, "record_every": 2},
        "replication": {"width": 8, "shallow": 3, "deep": 5, "early": 2},
    },
    "mishkin_matas_2016": {
        "data": {"n_train": 60, "n_test": 5},
        "training": {"iterations": 4, "batch_size": 20, "record_every": 2},
        "replication": {"width": 12, "depths": [3, 5], "n_samples": 40},
    },
    "saxe_2013": {
        "replication": {
            "modes": {"time_step": 0.02, "steps": 200, "record_every": 4},
            "depth": {"width": 4, "depths": [2, 4, 8], "rates": [0.2], "steps": 60},
        },
    },
    "schoenholz_2017": {
        "data": {"n_train": 60, "n_test": 5},
        "training": {"iterations": 4, "batch_size": 20, "record_every": 4},
        "replication": {"width": 6, "sigma_w2": [1.0, 1.761], "depths": [3, 5]},
    },
    "phase_diagram": {
        "data": {"n_train": 60, "n_test": 5},
        "replication": {
            "depth": 4,
            "width": 6,
            "steps": 4,
            "batch_size": 20,
            "sigma_w2": {"n": 3},
            "sigma_b2": {"n": 2},
            "depth_panel": {"depths": [3, 4], "n_seeds": 1},
        },
    },
}
SMALL: dict[str, dict[str, Any]] = {
    **{name: {"seeds": [0, 1]} | changes for name, changes in (UNTRAINED | TRAINED).items()},
    "tutorial": {"replication": {"n_seeds": 3}},
}


def merged(whole: Any, changes: dict[str, Any]) -> Any:
    """A nested dictionary with changed or new leaves."""
    result = dict(whole)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def changed(name: str, changes: dict[str, Any]) -> paper.Paper:
    """A paper of this repository with other leaves of params.yaml.

    Quantities whose names contain a setting then differ from those of its published.csv. The initializers keep their
    order, in which figures give them colours.
    """
    module = paper.load_module(name)
    document = yaml.safe_load((FOLDER / name / "params.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        file.write_text(yaml.safe_dump(merged(document, changes), sort_keys=False), encoding="utf-8")
        settings = replications.load(file, module.Settings)
    return paper.Paper(name, module, settings, paper.read_published(FOLDER / name / "published.csv"))


def small(name: str) -> paper.Paper:
    """A paper with the settings of SMALL."""
    return changed(name, SMALL[name])


def measured(name: str) -> Replication:
    """The results of a paper with the settings of SMALL, and few points on theory's lines."""
    loaded = small(name)
    with patch.object(loaded.module, "LINE_POINTS", LINE_POINTS, create=True):
        return paper.measure(loaded, lambda n: None)


def digest(result: Replication) -> str:
    """The digest of all numbers that a paper measures, and of the tables from which its figure is drawn."""
    tables = {"measurements": pd.DataFrame(result.measurements), **result.tables}
    texts = [name + table.to_csv(lineterminator="\n") for name, table in tables.items()]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]
