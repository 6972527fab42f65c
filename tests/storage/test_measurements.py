"""The files of measurements, snapshots and tables: read back to the same bits, damage reported in one sentence."""

import functools
import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.datasets import circles
from pipeline.diagnostics import measure
from pipeline.initializers.fan_scaling import he_normal
from pipeline.initializers.fixed_scale import zeros
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, stack
from pipeline.storage import atomic_files, measurements, reports, trained
from pipeline.storage.atomic_files import FileError
from tests.sampling import initialize_parameters
from tests.storage.test_trained import model

SEEDS = (3, 5, 8)
X, Y = circles(20, 0.05, 1)
AGAIN = r"; delete it and run `dvc repro`; "


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def measured(layers_dims: list[int] | None = None) -> measure.Measurements:
    """Of three models, one of zeros: it has nan where the others have numbers."""
    layers_dims = layers_dims or [2, 4, 3, 1]
    models = [
        initialize_parameters(init, 3, layers_dims) for init in (he_normal(), zeros(), he_normal(negative_slope=1.0))
    ]
    return measure.measure(stack(models), X, Y, [ACTIVATIONS["relu"]] * (len(layers_dims) - 2))


def write(B: measure.Measurements, name: str = "he", seeds: tuple[int, ...] = SEEDS) -> Path:
    measurements.write_measurements(name, seeds, B.layers, B.models, {"z": B.Z_counts, "a": B.A_counts}, B.dead)
    return measurements.DIAGNOSTICS / name


def snapshots(n: int = 3) -> list[Parameters]:
    rng = np.random.RandomState(0)
    return [[(rng.randn(2, 3, 2), rng.randn(2, 3, 1)), (rng.randn(2, 1, 3), rng.randn(2, 1, 1))] for _ in range(n)]


def bits(values: np.ndarray) -> bytes:
    """All but the sign of a nan, which text does not keep."""
    return np.where(np.isnan(values), math.nan, values).tobytes() if values.dtype.kind == "f" else values.tobytes()


# diagnostics/<name>


@pytest.mark.parametrize("layers_dims", [[2, 4, 3, 1], [2, 1], [2, 1, 3]])
def test_births_read_back_to_the_same_bits(layers_dims: list[int]) -> None:
    B = measured(layers_dims)
    n_layers = len(layers_dims) - 1
    write(B)
    layers, models = measurements.read_measurements("he", SEEDS, n_layers, measure.COLUMNS)
    assert layers.pop("seed").tolist() == [seed for seed in SEEDS for _ in range(n_layers)]
    assert layers.pop("layer").tolist() == [*range(1, n_layers + 1)] * 3
    assert models.pop("seed").tolist() == list(SEEDS)
    for found, expected in ((layers, B.layers), (models, B.models)):
        assert list(found) == list(expected)
        for name, values in expected.items():
            assert bits(found[name]) == bits(values), name
    assert any(np.isnan(values).any() for values in models.values())


@pytest.mark.parametrize("layers_dims", [[2, 4, 3, 1], [2, 1]])
def test_histograms_and_dead_units_read_back(layers_dims: list[int]) -> None:
    B = measured(layers_dims)
    B = B._replace(Z_counts=B.Z_counts * 10**7)  # as of wide layers and many samples
    n_layers = len(layers_dims) - 1
    write(B)
    units = measurements.read_units("he", SEEDS, n_layers)
    for key, counts in (("z", B.Z_counts), ("a", B.A_counts)):
        for l in range(counts.shape[1]):
            kept, first = units[f"{key}{l + 1}"], units[f"{key}{l + 1}_first"]
            whole = np.zeros_like(counts[:, l])
            whole[:, first : first + kept.shape[1]] = kept
            assert np.array_equal(whole, counts[:, l])
            assert kept[:, 0].any()  # nothing empty is stored at the ends
            assert kept[:, -1].any()
    for l, dead in enumerate(B.dead, start=1):
        assert units[f"dead{l}"].dtype == np.bool_
        assert np.array_equal(units[f"dead{l}"], dead)
    assert len(units) == 1 + 2 * n_layers + 3 * (n_layers - 1)


def test_births_have_the_same_bytes_each_time() -> None:
    first, second = write(measured(), "a"), write(measured(), "b")
    assert {file.name for file in first.iterdir()} == measurements.DIAGNOSTICS_FILES
    for name in measurements.DIAGNOSTICS_FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def both(name: str = "he", seeds: tuple[int, ...] = SEEDS, n_layers: int = 3) -> None:
    measurements.read_measurements(name, seeds, n_layers, measure.COLUMNS)
    measurements.read_units(name, seeds, n_layers)


@pytest.mark.parametrize("file", sorted(measurements.DIAGNOSTICS_FILES))
@pytest.mark.parametrize("keep", [0, 1, 150, -1])
def test_births_cut_short_are_named(file: str, keep: int) -> None:
    path = write(measured()) / file
    both()
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileError, match=rf"{file} is damaged: .*{AGAIN}"):
        both()


@pytest.mark.parametrize("file", sorted(measurements.DIAGNOSTICS_FILES))
def test_a_missing_file_of_births_is_named(file: str) -> None:
    path = write(measured()) / file
    path.unlink()
    with pytest.raises(FileError, match=rf"{file} does not exist; run `dvc repro` to create it\."):
        both()


@pytest.mark.parametrize(("seeds", "n_layers"), [((3, 5), 3), ((3, 5, 9), 3), ((5, 3, 8), 3), (SEEDS, 2), (SEEDS, 4)])
def test_births_of_other_models_are_refused(seeds: tuple[int, ...], n_layers: int) -> None:
    write(measured())
    read_measurements = functools.partial(measurements.read_measurements, columns=measure.COLUMNS)
    for read in (read_measurements, measurements.read_units):
        if read is measurements.read_units and n_layers == 2:
            continue  # what it asks for is there
        with pytest.raises(FileError, match=rf"is damaged: (it has|its) .*{AGAIN}"):
            read("he", seeds, n_layers)


@pytest.mark.parametrize(
    ("file", "line", "wrong"), [("layers.csv", "5,3", "6,3"), ("layers.csv", "5,3", "5,2"), ("models.csv", "5", "6")]
)
def test_a_wrong_seed_or_layer_in_a_line_is_found(file: str, line: str, wrong: str) -> None:
    path = write(measured()) / file
    text = path.read_text()
    assert f"\n{line}," in text
    path.write_text(text.replace(f"\n{line},", f"\n{wrong},"))
    with pytest.raises(FileError, match=rf"{file} is damaged: its seeds"):
        measurements.read_measurements("he", SEEDS, 3, measure.COLUMNS)


def test_a_flipped_byte_in_the_units_is_found() -> None:
    path = write(measured()) / "units.npz"
    whole, good = path.read_bytes(), measurements.read_units("he", SEEDS, 3)
    for position in np.linspace(0, len(whole) - 1, 60).astype(int):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        try:
            back = measurements.read_units("he", SEEDS, 3)
        except FileError:
            continue
        # where a flip goes unnoticed it must be in a field of the archive that carries no data
        assert all(np.array_equal(back[key], array) for key, array in good.items())


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("seeds"),
        lambda arrays: arrays.pop("z2"),
        lambda arrays: arrays.pop("a1"),
        lambda arrays: arrays.pop("dead2"),
        lambda arrays: arrays.pop("z1_first"),
        lambda arrays: arrays.update(a1_first=np.zeros(2, dtype=np.int64)),
        lambda arrays: arrays.update(dead1=arrays["dead1"][0]),
        lambda arrays: arrays.update(a2=arrays["a2"][:2]),
        lambda arrays: arrays.update(z3=arrays["z3"][..., None]),
    ],
    ids=["seeds", "z", "a", "dead", "first", "two first", "a row of dead", "fewer models", "more axes"],
)
def test_units_that_lack_something_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    write(measured())
    arrays = measurements.read_units("he", SEEDS, 3)
    change(arrays)
    atomic_files.write_npz(measurements.DIAGNOSTICS / "he" / "units.npz", arrays)
    with pytest.raises(FileError, match=r"units\.npz is damaged: its models are not those of params\.yaml"):
        measurements.read_units("he", SEEDS, 3)


# trajectories/<name>.npz


def test_snapshots_read_back_to_the_same_bits() -> None:
    when = np.array([0, 1, 40])
    trained.write_snapshots("he", when, snapshots())
    back = trained.read_snapshots("he", when, [2, 3, 1])
    assert [[array.shape for pair in pairs for array in pair] for pairs in back] == [
        [(2, 3, 2), (2, 3, 1), (2, 1, 3), (2, 1, 1)]
    ] * 3
    for found, expected in zip(back, snapshots(), strict=True):
        for pair, others in zip(found, expected, strict=True):
            assert [array.tobytes() for array in pair] == [array.tobytes() for array in others]


@pytest.mark.parametrize(
    ("when", "layers_dims"),
    [
        ([0, 1], [2, 3, 1]),
        ([0, 1, 50], [2, 3, 1]),
        ([0, 1, 40, 50], [2, 3, 1]),
        ([0, 1, 40], [2, 4, 1]),
        ([0, 1, 40], [2, 1]),
    ],
)
def test_snapshots_of_something_else_are_refused(when: list[int], layers_dims: list[int]) -> None:
    trained.write_snapshots("he", np.array([0, 1, 40]), snapshots())
    with pytest.raises(FileError, match=r"he\.npz is damaged: its models are not those of params\.yaml"):
        trained.read_snapshots("he", np.array(when), layers_dims)


def test_weights_are_not_taken_for_snapshots() -> None:
    """They have the shapes, but tell their models apart by seeds."""
    trained.write_weights(trained.TRAJECTORIES / "he.npz", (0, 0), model())
    with pytest.raises(FileError, match=r"its models are not those of params\.yaml"):
        trained.read_snapshots("he", np.array([0]), [2, 3, 1])


@pytest.mark.parametrize("keep", [0, 1, 300, -1])
def test_snapshots_cut_short_are_named(keep: int) -> None:
    trained.write_snapshots("he", np.array([0, 1, 40]), snapshots())
    path = trained.TRAJECTORIES / "he.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileError, match=rf"he\.npz is damaged: .*{AGAIN}"):
        trained.read_snapshots("he", np.array([0, 1, 40]), [2, 3, 1])


# Archives


ARRAYS = {
    "floats": np.array([[0.1, -0.0], [np.inf, np.nan]]),
    "whole": np.array([1, -(2**62)], dtype=np.int64),
    "short": np.array([2**31 - 1], dtype=np.int32),
    "masks": np.array([[True, False]]),
    "one": np.array(7),
    "none": np.zeros((0, 3)),
}


def test_arrays_read_back_with_kind_and_shape() -> None:
    atomic_files.write_npz(Path("a.npz"), ARRAYS)
    back = atomic_files.read_npz(Path("a.npz"))
    assert list(back) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()


def test_the_bytes_hang_on_the_arrays_alone() -> None:
    """Not on the clock, the order of bytes or axes in memory, or a library's compression."""
    atomic_files.write_npz(Path("a.npz"), ARRAYS)
    other = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in ARRAYS.items()}
    atomic_files.write_npz(Path("b.npz"), other)
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()
    with zipfile.ZipFile("a.npz") as archive:
        for entry in archive.infolist():
            assert (entry.date_time, entry.create_system) == ((1980, 1, 1, 0, 0, 0), 3)
            assert entry.compress_type == zipfile.ZIP_STORED
            assert archive.read(entry).startswith(b"\x93NUMPY\x01\x00")
    plain = np.load("a.npz", allow_pickle=False)
    assert np.array_equal(plain["whole"], ARRAYS["whole"])


class Opened:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("opened"),)


def test_pickles_are_neither_written_nor_read() -> None:
    pickled = np.array([Opened()], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        atomic_files.write_npz(Path("a.npz"), {"a": pickled})
    assert not Path("a.npz").exists()
    for path in (Path("a.npz"), measurements.DIAGNOSTICS / "he" / "units.npz", trained.TRAJECTORIES / "he.npz"):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, seeds=pickled, iterations=pickled)
    for read in (
        lambda: atomic_files.read_npz(Path("a.npz")),
        lambda: measurements.read_units("he", SEEDS, 3),
        lambda: trained.read_snapshots("he", np.array([0]), [2, 3, 1]),
    ):
        with pytest.raises(FileError, match=r"npz is damaged: it is not a complete \.npz archive of numeric arrays"):
            read()
    assert not Path("opened").exists()
    np.load("a.npz", allow_pickle=True)["seeds"]
    assert Path("opened").exists()  # the trap works


@pytest.mark.parametrize("content", [b"", b"seed,layer\n", b"PK\x03\x04", b"\x80\x04N.", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_named(content: bytes) -> None:
    Path("a.npz").write_bytes(content)
    with pytest.raises(
        FileError, match=rf"a\.npz is damaged: it is not a complete \.npz archive of numeric arrays{AGAIN}"
    ):
        atomic_files.read_npz(Path("a.npz"))


def test_an_archive_of_one_array_alone_is_named() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    Path("a.npz").write_bytes(buffer.getvalue())
    with pytest.raises(FileError, match="is damaged"):
        atomic_files.read_npz(Path("a.npz"))


# tables


def test_a_table_reads_back_to_the_same_bits() -> None:
    values = [0.1, 1 / 3, 5e-324, -0.0, 1.7976931348623157e308, math.inf, 1e-7]
    made = pd.DataFrame(
        {"name": list("abcdefg"), "layer": pd.array([1, None, 3] * 2 + [4], dtype="Int64"), "x": values}
    )
    reports.write_table("initialization", made)
    content = Path("reports/initialization.csv").read_bytes()
    assert content.startswith(b"name,layer,x\na,1,0.1\nb,,0.3333333333333333\nc,3,5e-324\nd,1,-0.0\n")
    assert b"\r" not in content
    back = atomic_files.read_csv(Path("reports/initialization.csv"), {"name": str, "layer": str, "x": float}, 7)
    assert back["x"].tobytes() == np.array(values).tobytes()


def test_what_is_missing_is_an_empty_field() -> None:
    reports.write_table("t", pd.DataFrame({"a": [1.5, math.nan], "b": ["x", None]}))
    assert Path("reports/t.csv").read_text() == "a,b\n1.5,x\n,\n"
