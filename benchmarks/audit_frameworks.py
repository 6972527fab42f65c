"""Files that frameworks write, untrained and trained, and what the audit says of them: benchmarks/audit_frameworks.csv.

Two environments take part. With PyTorch, Keras (KERAS_BACKEND=torch), Flax and scikit-learn installed:

    python benchmarks/audit_frameworks.py write FOLDER [torch|keras|flax|sklearn]

and then, in the project's environment, `python -m benchmarks.audit_frameworks audit FOLDER`.
"""

import csv
import json
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_suffix(".csv")
HEAD = ["framework", "initializer", "documented as", "named", "state"]
SIZES = (96, 64, 80, 64)
WRITTEN: list[dict[str, str]] = []


def note(file: str, framework: str, initializer: str, law: str) -> None:
    """Keep what a file holds: the law in the audit's name, "" for trained weights."""
    WRITTEN.append({"file": file, "framework": framework, "initializer": initializer, "law": law})


def write_torch(folder: Path) -> None:
    import torch
    from torch import nn
    from torch.nn import init

    torch.manual_seed(0)
    tanh, linear = init.calculate_gain("tanh"), partial(init.kaiming_normal_, nonlinearity="linear")
    cases: list[tuple[str, Any, str]] = [
        ("uniform_", init.uniform_, "uniform(low=0, high=1)"),
        ("normal_", init.normal_, "normal(std=1)"),
        ("normal_(std=0.02)", lambda W: init.normal_(W, std=0.02), "normal(std=0.02)"),
        ("trunc_normal_", init.trunc_normal_, "truncated_normal(std=1)"),
        ("constant_(0.3)", lambda W: init.constant_(W, 0.3), "constant"),
        ("ones_", init.ones_, "constant"),
        ("zeros_", init.zeros_, "zeros"),
        ("eye_", init.eye_, "identity"),
        ("xavier_uniform_", init.xavier_uniform_, "xavier_uniform"),
        ("xavier_normal_", init.xavier_normal_, "xavier_normal"),
        ("xavier_normal_(gain=tanh)", lambda W: init.xavier_normal_(W, tanh), "xavier_normal(gain=5/3)"),
        ("kaiming_uniform_", init.kaiming_uniform_, "he_uniform"),
        ("kaiming_normal_", init.kaiming_normal_, "he_normal"),
        ("kaiming_normal_(mode='fan_out')", partial(init.kaiming_normal_, mode="fan_out"), "he_normal(mode='fan_out')"),
        ("kaiming_normal_(nonlinearity='linear')", linear, "lecun_normal"),
        ("orthogonal_", init.orthogonal_, "orthogonal"),
        ("sparse_(0.1)", lambda W: init.sparse_(W, 0.1), "sparse"),
        ("nn.Linear's default", None, "pytorch_linear"),
    ]  # fmt: skip
    for number, (name, fill, law) in enumerate(cases):
        pairs = pairwise(SIZES)
        model = nn.Sequential(*(layer for i, o in pairs for layer in (nn.Linear(i, o), nn.ReLU())))
        for layer in model[::2] if fill else ():
            fill(layer.weight)
            init.zeros_(layer.bias)
        torch.save(model.state_dict(), folder / f"torch{number}.pt")
        note(f"torch{number}.pt", "PyTorch", name, law)
    modules = [
        ("dirac_", nn.Conv2d(64, 64, 3), "dirac"),
        ("nn.Conv2d's default", nn.Conv2d(64, 64, 3), "pytorch_linear"),
        ("nn.LSTM's default", nn.LSTM(64, 96), "pytorch_recurrent"),
        ("nn.Embedding's default", nn.Embedding(200, 64), "normal(std=1)"),
    ]
    init.dirac_(modules[0][1].weight)
    for number, (name, module, law) in enumerate(modules):
        holder = nn.Module()
        holder.layer = module
        torch.save(holder.state_dict(), folder / f"torch_module{number}.pt")
        note(f"torch_module{number}.pt", "PyTorch", name, law)
    X, y = digits()
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(y)).backward()
        optimizer.step()
    torch.save(model.state_dict(), folder / "torch_trained.pt")
    note("torch_trained.pt", "PyTorch", "trained: Adam, 60 steps on digits", "")


def write_keras(folder: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("Zeros", {}, "zeros"),
        ("Ones", {}, "constant"),
        ("Constant", {"value": 0.3}, "constant"),
        ("RandomNormal", {}, "normal(std=0.05)"),
        ("RandomUniform", {}, "uniform(low=-0.05, high=0.05)"),
        ("TruncatedNormal", {}, "truncated_normal(std=0.05)"),
        ("VarianceScaling", {}, "lecun_truncated_normal"),
        ("VarianceScaling", {"scale": 2.0, "distribution": "untruncated_normal"}, "he_normal"),
        ("GlorotUniform", {}, "xavier_uniform"),
        ("GlorotNormal", {}, "xavier_truncated_normal"),
        ("HeUniform", {}, "he_uniform"),
        ("HeNormal", {}, "he_truncated_normal"),
        ("LecunUniform", {}, "lecun_uniform"),
        ("LecunNormal", {}, "lecun_truncated_normal"),
        ("Orthogonal", {}, "orthogonal"),
        ("Identity", {}, "identity"),
    ]  # fmt: skip
    for number, (name, settings, law) in enumerate(cases):
        layers = [
            keras.layers.Dense(size, "relu", kernel_initializer=getattr(keras.initializers, name)(**settings))
            for size in SIZES[1:]
        ]
        keras.Sequential([keras.Input((SIZES[0],)), *layers]).save(folder / f"keras{number}.keras")
        shown = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        note(f"keras{number}.keras", "Keras", f"{name}({shown})", law)
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
    )
    X, y = digits()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, y, epochs=10, verbose=0)
    model.save(folder / "keras_trained.keras")
    note("keras_trained.keras", "Keras", "trained: Adam, 10 epochs on digits", "")


def write_flax(folder: Path) -> None:
    import flax.linen as nn
    import flax.serialization
    import jax

    init = nn.initializers
    cases: list[tuple[str, Any, str]] = [
        ("zeros", init.zeros, "zeros"),
        ("ones", init.ones, "constant"),
        ("constant(0.3)", init.constant(0.3), "constant"),
        ("uniform()", init.uniform(), "uniform(low=0, high=0.01)"),
        ("normal()", init.normal(), "normal(std=0.01)"),
        ("truncated_normal()", init.truncated_normal(), "truncated_normal(std=0.01)"),
        ("variance_scaling(1, 'fan_out', 'normal')", init.variance_scaling(1, "fan_out", "normal"),
         "lecun_normal(mode='fan_out')"),
        ("glorot_uniform()", init.glorot_uniform(), "xavier_uniform"),
        ("glorot_normal()", init.glorot_normal(), "xavier_truncated_normal"),
        ("lecun_uniform()", init.lecun_uniform(), "lecun_uniform"),
        ("lecun_normal(), Dense's default", init.lecun_normal(), "lecun_truncated_normal"),
        ("he_uniform()", init.he_uniform(), "he_uniform"),
        ("he_normal()", init.he_normal(), "he_truncated_normal"),
        ("orthogonal()", init.orthogonal(), "orthogonal"),
    ]  # fmt: skip

    class Net(nn.Module):
        kernel_init: Any

        @nn.compact
        def __call__(self, x: Any) -> Any:
            for size in SIZES[1:]:
                x = nn.relu(nn.Dense(size, kernel_init=self.kernel_init)(x))
            return x

    class Conv(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Conv(64, (3, 3), kernel_init=init.delta_orthogonal())(x)

    for number, (name, kernel_init, law) in enumerate(cases):
        parameters = Net(kernel_init).init(jax.random.key(number), jax.numpy.ones((1, SIZES[0])))
        (folder / f"flax{number}.msgpack").write_bytes(flax.serialization.to_bytes(parameters))
        note(f"flax{number}.msgpack", "JAX, Flax", name, law)
    parameters = Conv().init(jax.random.key(0), jax.numpy.ones((1, 8, 8, 48)))
    (folder / "flax_conv.msgpack").write_bytes(flax.serialization.to_bytes(parameters))
    note("flax_conv.msgpack", "JAX, Flax", "delta_orthogonal()", "delta_orthogonal")
    X, y = digits()
    net = Net(init.lecun_normal())

    def cost(parameters: Any) -> Any:
        logits = net.apply(parameters, X)[:, :10]
        return -jax.numpy.mean(jax.nn.log_softmax(logits)[jax.numpy.arange(len(y)), y])

    parameters = net.init(jax.random.key(1), X[:1])
    step = jax.jit(lambda p: jax.tree.map(lambda a, g: a - 0.1 * g, p, jax.grad(cost)(p)))
    for _ in range(300):
        parameters = step(parameters)
    (folder / "flax_trained.msgpack").write_bytes(flax.serialization.to_bytes(parameters))
    note("flax_trained.msgpack", "JAX, Flax", "trained: gradient descent, 300 steps on digits", "")


def write_sklearn(folder: Path) -> None:
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    X, y = digits()
    for name, settings, law in (
        ("MLPClassifier, learning rate 1e-300", {"max_iter": 1, "learning_rate_init": 1e-300}, "xavier_uniform"),
        ("MLPClassifier, trained: Adam, 20 epochs on digits", {"max_iter": 20}, ""),
    ):
        model = MLPClassifier((64, 64), random_state=0, **settings).fit(X, y)
        file = f"sklearn_{'untrained' if law else 'trained'}.npz"
        arrays = {f"coefs_{k}": W for k, W in enumerate(model.coefs_)}
        np.savez(folder / file, **arrays, **{f"intercepts_{k}": b for k, b in enumerate(model.intercepts_)})
        note(file, "scikit-learn", name, law)


def digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.data / 16).astype("float32"), data.target


def write(folder: Path, only: str = "") -> None:
    """Write the files, of one framework alone if it is named."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in (
        ("torch", write_torch),
        ("keras", write_keras),
        ("flax", write_flax),
        ("sklearn", write_sklearn),
    ):
        if only in ("", name):
            WRITTEN.clear()
            each(folder)
            (folder / f"written_{name}.json").write_text(json.dumps(WRITTEN, indent=1))


def audit(folder: Path) -> None:
    """Audit the files of a folder and write TABLE."""
    from pipeline.audit.run import audit_layers
    from pipeline.model_files import files
    from pipeline.model_files.layers import layers, trained

    rows = []
    lists = [folder / f"written_{name}.json" for name in ("torch", "keras", "flax", "sklearn")]
    for entry in (entry for path in lists for entry in json.loads(path.read_text())):
        model = files.read(folder / entry["file"])
        found = audit_layers(
            layers(model), expect=entry["law"] or "", framework=model.framework, trained=trained(model)
        )
        names = []
        for layer in found.layers:
            first = layer.candidates[0].law.split(" = ") if layer.candidates else ["–"]
            names.append(entry["law"] if entry["law"] in [name.partition(" (")[0] for name in first] else first[0])
        rows.append(
            [
                entry["framework"],
                entry["initializer"],
                entry["law"] or "–",
                "; ".join(dict.fromkeys(names)) if entry["law"] else "–",
                found.state,
            ]
        )
        print(rows[-1], [f"{one.layer}: {one.cause}: {one.text}" for one in found.findings][:2])
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEAD, *rows])


if __name__ == "__main__":
    {"write": write, "audit": audit}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
