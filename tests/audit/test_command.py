"""The command `audit-weights`: arguments, messages and exit codes."""

import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.audit import audit
from pipeline.audit.command.as_json import document
from pipeline.audit.command.main import main
from pipeline.errors import UserError

ROOT = Path(__file__).parents[2]
DIMS = (48, 64, 32, 10)


def arrays(seed: int = 0, factor: float = 1.0) -> dict[str, np.ndarray]:
    """He normal weights of three layers; those of the second times `factor`."""
    rng, found = np.random.default_rng(seed), {}
    for l, (n, m) in enumerate(pairwise(DIMS), 1):
        found[f"W{l}"] = rng.normal(size=(m, n)) * np.sqrt(2 / n) * (factor if l == 2 else 1.0)
        found[f"b{l}"] = np.zeros(m)
    return found


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with right.npz, wrong.npz, trained.npz and text.npz as the current one."""
    np.savez(tmp_path / "right.npz", **arrays())
    np.savez(tmp_path / "wrong.npz", **arrays(factor=10.0))
    rng = np.random.default_rng(1)
    moved = {
        name: values + 0.3 * np.outer(*(rng.normal(size=k) for k in values.shape))
        if values.ndim == 2
        else values + rng.normal(size=len(values))
        for name, values in arrays().items()
    }
    np.savez(tmp_path / "trained.npz", **moved)
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "batch.npz", X=rng.normal(size=(30, 48)), Y=rng.integers(0, 10, 30))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["right.npz"], 0),
        (["right.npz", "--expect", "he_normal"], 0),
        (["right.npz", "--expect", "he_normal", "--expect", "W3=he_normal"], 0),
        (["wrong.npz", "--expect", "he_normal"], 1),
        (["right.npz", "--expect", "xavier_uniform"], 1),
        (["right.npz", "wrong.npz", "--expect", "he_normal"], 1),
        (["trained.npz"], 2),
        (["text.npz"], 2),
        (["missing.npz"], 2),
        (["wrong.npz", "missing.npz", "--expect", "he_normal"], 2),
    ],
)
def test_the_exit_code(files: Path, given: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(given) == code
    assert main([*given, "--json"]) == code
    capsys.readouterr()


def test_the_verdict_names_the_layer(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["wrong.npz", "--expect", "he_normal"])
    assert capsys.readouterr().out.startswith("ALARM in layer W2 of wrong.npz: ")
    main(["right.npz", "--expect", "he_normal"])
    assert capsys.readouterr().out.startswith("OK: right.npz is initialized as intended: 3 layers with 5,440 weights")
    main(["right.npz"])
    assert "--expect" in capsys.readouterr().out.split("\n\n")[0]


def test_json_of_several_files_and_of_one_that_is_missing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["right.npz", "missing.npz", "wrong.npz", "--expect", "he_normal", "--json"])
    shown = capsys.readouterr()
    read = json.loads(shown.out)
    assert [each["source"] for each in read["audits"]] == ["right.npz", "wrong.npz"]
    assert [each["source"] for each in read["errors"]] == ["missing.npz"]
    assert shown.err.count("\n") == 1
    assert [finding["layer"] for finding in read["audits"][1]["findings"]] == ["W2"]


def test_an_expectation_for_a_layer_replaces_that_for_all(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def expected(*given: str) -> list[list[str]]:
        main(["right.npz", "--json", *(part for each in given for part in ("--expect", each))])
        return [layer["expected"] for layer in json.loads(capsys.readouterr().out)["audits"][0]["layers"]]

    assert expected("W2=lecun_normal", "he_normal") == [["he_normal"], ["lecun_normal"], ["he_normal"]]
    assert expected("W2=lecun_normal") == [[], ["lecun_normal"], []]
    assert expected("W*=he_uniform", "W1=normal(std=0.5)") == [["normal(std=0.5)"], ["he_uniform"], ["he_uniform"]]
    assert expected("kaiming_normal_") == [["he_normal"]] * 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no file is given"),
        (["right.npz", "--grade", "a:b"], "both FILE and --grade are given"),
        (["right.npz", "--level", "2"], "--level is 2; it must be a number between 0 and 1."),
        (["right.npz", "--level", "nan"], "--level is nan"),
        (["right.npz", "--activation", "rleu"], "; did you mean relu? It must be one of "),
        (["right.npz", "--expect", "he_norml"], "; did you mean he_normal? It must be an initializer"),
        (["right.npz", "--expect", ""], "--expect is empty"),
        (["right.npz", "--expect", "W9=he_normal"], "'W9'; the layers are W1, W2, W3"),
        (["right.npz", "--expect", "he_normal", "--expect", "zeros"], "--expect gives all layers 2 initializers: he_normal, zeros"),
        (["right.npz", "--expect", "W1=a", "--expect", "W1=b"], "--expect gives the layer W1 2 initializers: a, b"),
        (["right.npz", "--expect", "pytorch_recurrent"], "expect is pytorch_recurrent for the layer W1, but that is for"),
        (["right.npz", "--expect", "W2=pytorch_recurrent"], "expect is pytorch_recurrent for the layer W2, but that is"),
        (["--grade", "a:b", "--expect", "pytorch_recurrent"], "--expect is pytorch_recurrent, which is for recurrent"),
        (["--grade", "a:b", "--expect", "lsuv"], "--expect is lsuv, which depends on data"),
        (["right.npz", "--data", "missing.npz"], "missing.npz cannot be read: No such file or directory."),
        (["right.npz", "--data", "text.npz"], "text.npz is not a .npy or .npz file of numbers"),
        (["right.npz", "--data", "right.npz"], "right.npz has the arrays W1, b1, W2, b2, W3, b3; it must have one array"),
        (["right.npz", "--shape", "3x4"], "--shape is given without --grade"),
        (["--grade", "a:b", "--data", "batch.npz"], "--data is given without a FILE"),
        (["--grade", "a:b"], "--grade needs one --expect LAW"),
        (["--grade", "a:b", "--expect", "W1=zeros"], "--grade needs one --expect LAW"),
        (["--grade", "a:b", "--expect", "zeros", "--shape", "0x4"], "--shape is '0x4'; it must be FAN_OUTxFAN_IN"),
        (["--grade", "a:b", "--expect", "zeros", "--shape", "9999x9999"], "may have up to 1,000,000 weights"),
        (["--grade", "b", "--expect", "zeros"], "--grade is 'b'; it must be MODULE:FUNCTION or FILE.py:FUNCTION."),
    ],
)  # fmt: skip
def test_a_bad_argument_is_one_message(
    files: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("audit-weights: ")
    assert shown.err.count("\n") == 1
    assert message in shown.err


@pytest.mark.parametrize("given", [["--foo"], ["right.npz", "--level", "x"], ["right.npz", "--exp", "he_normal"]])
def test_an_unknown_argument_has_the_exit_code_2(
    files: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(given)
    assert raised.value.code == 2
    assert "audit-weights: error: " in capsys.readouterr().err


def test_a_batch_of_data_of_another_width_is_one_message(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(files / "narrow.npz", X=np.zeros((5, 7)))
    assert main(["right.npz", "--activation", "relu", "--data", "narrow.npz"]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert "48" in shown.err


@pytest.mark.parametrize("name", ["right.npz", "wrong.npz"])
def test_a_closed_pipe_is_no_error(files: Path, name: str) -> None:
    """`audit-weights FILE | head -1`: the reader closes the pipe, and the exit code stays that of the audit."""
    command = [sys.executable, "-m", "pipeline.audit", name, "--expect", "he_normal", "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == (0 if name == "right.npz" else 1)


def test_a_terminal_without_unicode_is_no_error(files: Path) -> None:
    command = [sys.executable, "-m", "pipeline.audit", "right.npz"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


# ---------------------------------------------------------------------------------------------------------------------
# The function


def test_a_live_model_is_audited_as_its_file(files: Path) -> None:
    found = audit(arrays(factor=10.0), expect="he_normal")
    assert not found.ok
    assert [finding.layer for finding in found.findings] == ["W2"]
    assert str(found).startswith("ALARM in layer W2 of ")
    assert audit(arrays(), expect={"W*": "he_normal"}).ok
    assert audit("right.npz", level=0.001).ok


def test_a_frequent_mistake_is_noted_without_an_expectation() -> None:
    rng = np.random.default_rng(0)
    mistaken = audit([rng.normal(size=(64, 64)) * 2 / 64, rng.normal(size=(64, 64)) * math.sqrt(2 / 64)])
    (note,) = [note for note in mistaken.notes if "mistake" in note]
    assert note.startswith("arrays[0]: he_normal with the variance as standard deviation, which no initializer")
    assert not any("mistake" in note for note in audit([rng.normal(size=(8, 5)) for _ in range(20)]).notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"level": 1}, "level is 1"), ({"activation": "foo"}, "activation is 'foo'"), ({"expect": "foo"}, "expect holds"), ({"expect": ["he_normal"]}, "expect has the type list"), ({"expect": {"W1": 1}}, "expect has the type int for 'W1'"), ({"data": [[1.0, np.nan]]}, "data has NaN"), ({"data": [[1.0, 2.0]]}, "data has 1 sample"), ({"data": ["a"]}, "data holds values of type <U1"), ({"data": [1.0]}, r"data has the shape \(1,\)")],
)  # fmt: skip
def test_an_invalid_option_is_named(files: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        audit("right.npz", **options)  # type: ignore[arg-type]


SIZES = (0, 1, 1, 2, 3, 5, 8, 17, 40)
NAMES = ("W{}", "b{}", "layers.{}.weight", "layers.{}.bias", "bn{}.weight", "emb{}.weight", "dense_{}/kernel", "x{}")
ODD = {
    "normal": lambda a: a,
    "overflowing": lambda a: a * 1e300,
    "subnormal": lambda a: a * 1e-310,
    "zeros": lambda a: 0.0 * a,
    "constant": lambda a: np.full(a.shape, 0.7),
    "NaN": lambda a: np.where(a > 1.0, np.nan, a),
    "infinite": lambda a: np.where(a > 1.5, np.inf, a),
    "whole": np.round,
    "float16": lambda a: a.astype(np.float16),
    "positive": np.abs,
    "sorted": lambda a: np.sort(a.ravel()).reshape(a.shape),
    "integers": lambda a: a.astype(np.int32),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_arrays_are_audited_or_refused_by_one_message(kind: str) -> None:
    """Arrays of zero to four axes, some empty, under names of any layer; half of them with odd values."""
    rng = np.random.default_rng(list(ODD).index(kind))
    for k in range(8):
        model = {}
        for _ in range(rng.integers(1, 8)):
            values = rng.normal(size=tuple(rng.choice(SIZES, size=rng.integers(0, 5))))
            model[str(rng.choice(NAMES)).format(rng.integers(4))] = ODD[kind](values) if rng.random() < 0.5 else values
        try:
            found = audit(model, expect=("", "he_normal", "orthogonal", "zeros")[k % 4], activation=("", "relu")[k % 2])
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert str(found)
            assert document([found], {})


def test_importing_it_imports_numpy_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import pipeline.audit.command.main; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {"pipeline", "numpy", "cython_runtime"} == {
        name for name in done.stdout.split() if name.startswith("_cython_")
    }
