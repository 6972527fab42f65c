"""Load a trained model of any result in the MLflow store, from any folder."""

import json
import tempfile
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.networks.parameters import take
from pipeline.storage import atomic_files, trained
from pipeline.tracking import provenance, store
from pipeline.tracking.content import Network, write_model
from pipeline.tracking.mlflow_api import pyfunc
from pipeline.tracking.publish import IDENTITY, contained, names_of
from pipeline.tracking.store import TRACKED, Store

REPOSITORY = Path(__file__).resolve().parents[2]


def load_model(initializer: str, seed: int, result: str = "", root: Path = REPOSITORY) -> Any:
    """The trained model of an initializer and a seed, as a model of `mlflow.pyfunc`.

    It belongs to the result of that name, such as a DVC experiment; by default, to the result of the last `dvc repro`
    or `dvc checkout` in `root`. Creates no store. Raises UserError if the model does not exist.
    """
    identity = "" if result else tracked(root)
    with store.reading(root) as opened, tempfile.TemporaryDirectory() as folder:
        name = result or name_of(opened, identity)
        of_initializer = f' and params.initializer = "{initializer}"'
        models = contained(opened, "models", [name], f'{of_initializer} and params.seed = "{int(seed)}"')
        stacks = contained(opened, "initializers", [name], of_initializer)
        if not models or not stacks:
            raise UserError(
                f"MLflow's store {opened.uri} has no model of the initializer {initializer} and seed {seed} in the "
                f"result {name}."
            )
        path = Path(opened.client.download_artifacts(stacks[0].info.run_id, "weights.npz", folder))
        return from_stack(path, seed, models[0])


def from_stack(path: Path, seed: int, run: Any) -> Any:
    """The model of a seed in a file of `trained.write_weights` with all seeds of an initializer; `run` is its run."""
    arrays = atomic_files.read_npz(path)
    n_layers = len(arrays) // 2
    stacked = [(arrays[f"W{l}"], arrays[f"b{l}"]) for l in range(1, n_layers + 1)]
    one = take(stacked, [arrays["seeds"].tolist().index(seed)])
    activation = provenance.parse(run.data.params["network.activation"].encode())
    names = activation if isinstance(activation, list) else [activation] * (n_layers - 1)
    trained.write_weights(path.with_name("one.npz"), [seed], one)
    network = Network(path.with_name("one.npz"), one[0][0].shape[-1], names)
    folder = path.with_name("model")
    folder.mkdir()
    write_model(folder, network, run.info.run_id)
    return pyfunc.load_model(str(folder))


def tracked(root: Path) -> str:
    """The identity of the result that the repository `root` holds. Raises UserError."""
    try:
        return str(json.loads(atomic_files.read_bytes(root / TRACKED))["result"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{root / TRACKED} is damaged; delete it and run `dvc repro`.") from error


def name_of(opened: Store, identity: str) -> str:
    """The name of the result with this identity. Raises UserError if the store does not contain it."""
    found = opened.search("results", f"tags.{IDENTITY} = '{identity}' and attributes.status = 'FINISHED'")
    if not found:
        raise UserError(
            f"MLflow's store {opened.uri} does not hold the result {identity[:8]} of {TRACKED}; "
            "`dvc repro --single-item --force track` publishes it."
        )
    return names_of(found[0])[0]
