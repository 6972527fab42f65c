"""Files read back to the same bits, and damage reported in one sentence."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import schema
from pipeline.storage import atomic_files, resolved, samples, trained
from pipeline.storage.atomic_files import FileError


def model(n: int = 2):
    rng = np.random.RandomState(0)
    return [(rng.randn(n, 3, 2), rng.randn(n, 3, 1)), (rng.randn(n, 1, 3), rng.randn(n, 1, 1))]


def test_csv_reads_back_to_the_same_bits(tmp_path: Path) -> None:
    values = np.array([0.1, 1 / 3, 5e-324, -0.0, 1.7976931348623157e308, np.inf, np.nan])
    atomic_files.write_csv(tmp_path / "a.csv", {"n": range(7), "x": values})
    back = atomic_files.read_csv(tmp_path / "a.csv", {"n": int, "x": float}, 7)
    assert back["x"].tobytes() == values.tobytes()
    assert back["n"].tolist() == list(range(7))
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_samples_read_back(tmp_path: Path) -> None:
    X, Y = np.random.RandomState(0).randn(2, 5), np.array([[0.0, 1, 1, 0, 1]])
    samples.write_samples(tmp_path / "a.csv", X, Y)
    back_X, back_Y = samples.read_samples(tmp_path / "a.csv", 5, 2, 2)
    assert (back_X.tobytes(), back_Y.tobytes()) == (X.tobytes(), Y.tobytes())
    assert (tmp_path / "a.csv").read_text().startswith("x1,x2,y\n")


def test_the_training_and_the_test_set_are_read_from_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3 and of 2 samples, which have different inputs and classes."""
    monkeypatch.chdir(tmp_path)
    data = schema.Data(name="circles", n_train=3, n_test=2, noise=0.0, train_seed=1, test_seed=2)
    train = np.arange(6.0).reshape(2, 3), np.array([[0.0, 1.0, 1.0]])
    test = np.arange(10.0, 14.0).reshape(2, 2), np.array([[1.0, 0.0]])
    samples.write_samples(samples.DATA / "train.csv", *train)
    samples.write_samples(samples.DATA / "test.csv", *test)
    for read, written in ((resolved.training_set(data), train), (resolved.test_set(data), test)):
        assert [values.tolist() for values in read] == [values.tolist() for values in written]


def test_weights_read_back_and_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        trained.write_weights(tmp_path / name, (3, 5), model())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = trained.read_weights(tmp_path / "a.npz", (3, 5), [2, 3, 1])
    assert all(
        x.tobytes() == y.tobytes() for a, b in zip(back, model(), strict=True) for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("keep", [0, 1, 100, 400, -1])
def test_truncated_weights_are_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "weights.npz"
    trained.write_weights(path, (3, 5), model())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileError, match=r"weights\.npz is damaged: .*; delete it and run `dvc repro`; "):
        trained.read_weights(path, (3, 5), [2, 3, 1])


def test_a_flipped_byte_in_the_weights_is_found(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    trained.write_weights(path, (3, 5), model())
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        try:
            back = trained.read_weights(path, (3, 5), [2, 3, 1])
        except FileError:
            continue
        # where a flip goes unnoticed it must be in a field of the archive that carries no data
        assert all(
            x.tobytes() == y.tobytes() for a, b in zip(back, model(), strict=True) for x, y in zip(a, b, strict=True)
        )


def test_weights_of_other_models_or_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    trained.write_weights(path, (3, 5), model())
    for seeds, sizes in [((3, 6), [2, 3, 1]), ((3,), [2, 3, 1]), ((3, 5), [2, 4, 1]), ((3, 5), [2, 3, 3, 1])]:
        with pytest.raises(FileError, match=r"its models are not those of params\.yaml"):
            trained.read_weights(path, seeds, sizes)
    np.savez(path, seeds=np.array([object()], dtype=object))
    with pytest.raises(FileError, match=r"not a complete \.npz archive of numeric arrays"):
        trained.read_weights(path, (3,), [2, 1])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "its first line is not n,x"),
        (b"n,y\n1,2\n", "its first line is not n,x"),
        (b"n,x\n1\n", "line 2 has 1 fields, not 2"),
        (b"n,x\n1,2.0\n2,\n", "its column x has a value that is not a float"),
        (b"n,x\n1,2.0\n2,3.0", "its last line is cut short"),
        (b"n,x\n1.5,2.0\n2,3.0\n", "its column n has a value that is not an int"),
        (b"n,x\n1,2.0\n", "it has 1 rows, not 2"),
        (b"n,x\n99999999999999999999,2.0\n2,3.0\n", "its column n has a value that is not an int"),
        (b"\xff\xfe\x00", "it is not CSV in UTF-8"),
        (b'n,x\n1,"2.0\n', "it is not CSV in UTF-8"),
    ],
)
def test_damaged_csv_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "costs.csv"
    path.write_bytes(content)
    with pytest.raises(FileError) as raised:
        atomic_files.read_csv(path, {"n": int, "x": float}, 2)
    assert str(raised.value).startswith(f"{path} is damaged: {sentence}; delete it and run `dvc repro`; ")


def test_labels_other_than_zero_and_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("x1,x2,y\n0.0,0.0,2\n")
    with pytest.raises(FileError, match="column y has a class that is not from 0 to 1"):
        samples.read_samples(path, 1, 2, 2)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.csv does not exist; run `dvc repro` to create it\."):
        atomic_files.read_csv(tmp_path / "none.csv", {})


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"table\.csv cannot be written: No space left on device\."):
        atomic_files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
