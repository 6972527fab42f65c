"""The pipeline as its users drive it: `dvc repro` in a repository of its own, with miniature parameters."""

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pandas as pd
import pytest

from pipeline.figures import style, training_figures
from pipeline.stages import aggregate, dataset, initialization, resolve, run, track, train
from pipeline.storage import reports
from tests.conftest import MINIATURE, RESULTS, Laboratory
from tests.stages.test_dvc_yaml import ANALYSIS


def stages_of(initializer: str) -> list[str]:
    """The stages that run for a change of one initializer's weights at initialization, but for `track`."""
    return ["resolve", f"train@{initializer}", "diagnose", "trajectories", "initialization", "aggregate"]


def test_everything_is_there_and_a_second_repro_does_nothing(finished: Laboratory) -> None:
    results = finished.results()
    for name in ("zeros", "small", "he"):
        assert {f"runs/{name}/weights.npz", f"runs/{name}/costs.csv", f"trajectories/{name}.npz"} <= set(results)
        assert {f"jobs/initializers/{name}.json", f"diagnostics/{name}/units.npz"} <= set(results)
    assert finished.run("dvc", "repro").stdout.strip().endswith("Data and pipelines are up to date.")
    assert "up to date" in finished.run("dvc", "status").stdout
    assert finished.run("git", "status", "--porcelain").stdout == ""
    runs = pd.read_csv(finished.root / "reports" / "runs.csv")
    assert list(zip(runs["initializer"], runs["seed"], strict=True)) == [
        (name, seed) for name in ("zeros", "small", "he") for seed in (3, 5)
    ]


def test_changing_one_initializer_trains_it_alone(laboratory: Laboratory) -> None:
    laboratory.change("params.yaml", "std: 0.01", "std: 0.02")
    training = ("train", "trajectories", "diagnose")
    assert sorted(laboratory.repro(*training)) == ["diagnose", "resolve", "train@small", "trajectories"]
    laboratory.change("params.yaml", "std: 0.02", "std: 0.01")
    assert laboratory.repro("train") == ["resolve"]  # the models are restored from DVC's run cache


def test_another_experiment_than_the_tutorials_shows_nothing_published(finished: Laboratory) -> None:
    """The miniature has 30 samples and other layers."""
    text = (finished.root / "reports" / "comparison.md").read_text()
    assert "\n## Seed 3\n" in text
    assert "ublished" not in text
    assert "utorial" not in text
    assert "is seed 3" not in text
    costs = pd.read_csv(reports.PUBLISHED / "cost_curves.csv")
    bands = pd.read_csv(finished.root / "reports" / "cost_curves.csv")
    files = finished.root.glob("runs/*/costs.csv")
    curves = pd.concat([pd.read_csv(path).assign(initializer=path.parent.name) for path in files])
    drawn = style.png(training_figures.cost_curves(bands, curves[curves["seed"] == 3], costs.iloc[:0], 3))
    assert (finished.root / "reports" / "figures" / "cost_curves.png").read_bytes() == drawn
    assert style.png(training_figures.cost_curves(bands, curves[curves["seed"] == 3], costs, 3)) != drawn


OWN = """
import numpy as np

def halves(rng, fan_out, fan_in, *, size: float = 0.5):
    return size * np.sign(rng.random_sample((fan_out, fan_in)) - 0.5)
"""


def test_a_new_recipe_of_ones_own_trains_alone_and_a_dropped_initializer_leaves_the_table(
    laboratory: Laboratory,
) -> None:
    """And it trains again, alone, when its file changes."""
    laboratory.write("own/mine.py", OWN)
    mine = '  mine: {recipe: "own.mine:halves", size: 0.25}\n'
    laboratory.change("params.yaml", "  small: {recipe: normal, std: 0.01}\n", mine)
    assert sorted(laboratory.repro("initialization", "aggregate")) == sorted(stages_of("mine"))
    table = pd.read_csv(laboratory.root / "reports" / "comparison.csv")
    assert table["initializer"].tolist() == ["zeros", "mine", "he"]
    report = (laboratory.root / "reports" / "comparison.md").read_text()
    assert re.search(r"\| mine +\|", report)
    assert not re.search(r"\| small +\|", report)
    assert not (laboratory.root / "runs" / "small").exists()
    assert not (laboratory.root / "jobs" / "initializers" / "small.json").exists()
    assert laboratory.repro("initialization", "aggregate") == []
    laboratory.write("own/mine.py", OWN.replace("0.5)", "0.25)"))
    assert laboratory.repro("train") == ["resolve", "train@mine"]


def test_a_broken_recipe_of_ones_own_is_reported_before_anything_trains(laboratory: Laboratory) -> None:
    laboratory.write("own/mine.py", OWN.replace("(fan_out, fan_in)", "(fan_in, fan_out)"))
    laboratory.change("params.yaml", "  he: {", '  mine: {recipe: "own.mine:halves"}\n  he: {')
    done = laboratory.run("dvc", "repro", check=False)
    assert "params.yaml: initializers.mine returned W of shape (2, 4); expected (4, 2).\n" in done.stdout
    assert "Running stage 'train" not in done.stdout
    assert "Traceback" not in done.stdout


def test_other_data_by_one_word(laboratory: Laboratory) -> None:
    laboratory.change("params.yaml", "name: circles", "name: digits")
    laboratory.change("params.yaml", "batch_size: full, momentum: 0.0", "batch_size: 8, momentum: 0.5")
    laboratory.change("params.yaml", "activation: relu", "activation: [tanh, gelu]")
    laboratory.change("params.yaml", "  zeros: {recipe: zeros}\n  small: {recipe: normal, std: 0.01}\n", "")
    laboratory.repro("aggregate")
    runs = pd.read_csv(laboratory.root / "reports" / "runs.csv")
    assert runs["initializer"].tolist() == ["he", "he"]
    assert (runs["final_cost"] < runs["initial_cost"]).all()
    laboratory.change("params.yaml", "name: digits", "name: breast_cancer")
    assert laboratory.repro("train") == ["dataset", "resolve", "train@he"]
    costs = pd.read_csv(laboratory.root / "runs" / "he" / "costs.csv")["cost"].tolist()
    assert costs[2] < costs[0] < math.log(10) / 2  # of two classes, not of ten


def test_another_analysis_trains_nothing(laboratory: Laboratory) -> None:
    """A figure, a table, a measurement, a prediction, a message and a check changed; then another highlighted seed."""
    for path in ANALYSIS:
        laboratory.change(path, "\nfrom ", "\n# a change\nfrom ")
    training = ("train", "trajectories", "diagnose")
    assert laboratory.repro(*training) == ["dataset", "resolve", "diagnose"]
    laboratory.change("params.yaml", "highlight_seed: 3", "highlight_seed: 5")
    assert laboratory.repro(*training) == ["resolve", "trajectories"]


def test_a_warning_is_printed_once_and_before_training(laboratory: Laboratory) -> None:
    """Of the section `training` too."""
    laboratory.change("params.yaml", "batch_size: full", "batch_size: 31")
    said = laboratory.run("dvc", "repro", "resolve", "train@he").stdout
    (warning,) = re.findall(r"(?m)^params\.yaml: warning: training\.batch_size holds 31, .*$", said)
    assert said.index(warning) < said.index("Running stage 'train@")
    assert "warning" not in laboratory.run("dvc", "repro", "resolve", "train@he").stdout


def test_an_activation_without_theory_is_measured_and_nothing_predicted(laboratory: Laboratory) -> None:
    laboratory.change(
        "pipeline/networks/activations.py",
        "Activation(relu, relu_slope, kinks=(0.0,))",
        'Activation(relu, relu_slope, without_theory="as a test")',
    )
    before = pd.read_csv(laboratory.root / "reports" / "initialization.csv")
    done = laboratory.stage("initialization")
    assert done.returncode == 0
    assert re.fullmatch(r"Reporting 3 initializers at initialization\.\nFinished in \d+\.\d s\.\n", done.stdout)
    after = pd.read_csv(laboratory.root / "reports" / "initialization.csv")
    pd.testing.assert_frame_equal(
        before.drop(columns=["predicted", "z_score"]), after.drop(columns=["predicted", "z_score"])
    )
    assert before["predicted"].notna().any()
    assert not after["predicted"].notna().any()
    text = (laboratory.root / "reports" / "initialization.md").read_text()
    for name in ("zeros", "small", "he"):
        assert (
            f"- {name}: no prediction, because it has the activation relu, which theory does not cover: as a test"
            in text
        )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("learning_rate: 0.1", "learning_rate: -0.1", "training.learning_rate holds -0.1"),
        ("seeds: [3, 5]", "seeds: [3, 3]", "seeds"),
        ("hidden_sizes: [4, 3]", "hidden_sizes: [4, 0]", "network.hidden_sizes"),
        ("noise: 0.05", "noise: 0.05, colour: red", "data.colour"),
        ("reference: he", "reference: He", "comparison.reference holds the text 'He'"),
        ("seeds: [3, 5]", "seeds: [4]", "comparison.highlight_seed holds 3"),
    ],
)
def test_bad_parameters_are_named_by_every_stage_that_reads_them(
    finished: Laboratory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in RESULTS:
        (tmp_path / name).symlink_to(finished.root / name)
    assert old in MINIATURE
    (tmp_path / "params.yaml").write_text(MINIATURE.replace(old, new))
    before = finished.results()
    for stage in (dataset.dataset, resolve.resolve, initialization.initialization, aggregate.aggregate, track.track):
        assert run(stage) == 1
        assert sentence in capsys.readouterr().err
    assert finished.results() == before


def test_bad_parameters_stop_the_pipeline_with_a_sentence(laboratory: Laboratory, finished: Laboratory) -> None:
    laboratory.change("params.yaml", "learning_rate: 0.1", "learning_rate: -0.1")
    done = laboratory.run("dvc", "repro", check=False)
    assert done.returncode != 0
    assert "training.learning_rate holds -0.1" in done.stdout
    assert "Traceback" not in done.stdout
    assert "Running stage 'train" not in done.stdout
    assert laboratory.results() == finished.results()


def test_an_initializer_without_a_job_is_named(finished: Laboratory) -> None:
    unknown = finished.stage("train", "--initializer", "xavier")
    message = "jobs/initializers/xavier.json does not exist; run `dvc repro` to create it.\n"
    assert (unknown.returncode, unknown.stdout) == (1, message)


FILES = (
    "data/train.csv",
    "runs/he/costs.csv",
    "runs/he/weights.npz",
    "diagnostics/he/layers.csv",
    "trajectories/he.npz",
    "jobs/initializers/he.json",
)


def test_a_truncated_intermediate_file_is_named(
    laboratory: Laboratory,
    finished: Laboratory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(laboratory.root)
    for name in FILES:
        whole = Path(name).read_bytes()
        Path(name).unlink()
        Path(name).write_bytes(whole[:-40])
        assert run(aggregate.aggregate) == 1
        message = capsys.readouterr().err.splitlines()[-1]
        assert message.startswith(f"{name} is damaged: ")
        assert "; delete it and run `dvc repro`; " in message
        Path(name).write_bytes(whole)
    for name in FILES:
        Path(name).unlink()
    laboratory.repro()
    assert laboratory.results() == finished.results()


def watched(laboratory: Laboratory, *arguments: str) -> str:
    """What `train` says on a terminal, which a person watches."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    command = [sys.executable, "-m", "pipeline.stages.train", *arguments]
    process = subprocess.Popen(command, cwd=laboratory.root, env=laboratory.environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # raised on Linux at the end of what a terminal says
        while part := os.read(ours, 1024):
            said += part
    assert process.wait() == 0
    return said.decode()


def test_a_terminal_shows_a_bar_and_a_file_lines(laboratory: Laboratory) -> None:
    begin, end = laboratory.stage("train", "--initializer", "he").stdout.splitlines()
    assert begin == "Training 2 models of he for 40 iterations."
    assert re.fullmatch(r"Finished in \d+\.\d s\.", end)
    laboratory.change("pipeline/stages/progress.py", "DELAY = 2.0", "DELAY = 0.0")
    said = watched(laboratory, "--initializer", "he")
    assert said.startswith(begin)
    assert re.search(r" 0/2 .*(model/s|s/model)", said)


@pytest.mark.parametrize("while_compiling", [False, True])
def test_an_interruption_stops_training_and_leaves_what_was_there(
    laboratory: Laboratory, tmp_path: Path, while_compiling: bool
) -> None:
    """What is compiled is kept at its end, so an empty cache shows that the interruption did not wait for it."""
    if while_compiling:
        laboratory.environment = laboratory.environment | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    laboratory.change("jobs/training.json", '"iterations": 40', '"iterations": 1000000000')
    laboratory.change("jobs/training.json", '"record_every": 20', '"record_every": 1000000000')
    before = laboratory.results()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.train", "--initializer", "he"],
        cwd=laboratory.root,
        env=laboratory.environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background has it off
    )
    assert process.stderr.readline().startswith("Training 2 models of he ")
    if while_compiling:
        assert process.stderr.readline() == f"{train.COMPILING}\n"
    time.sleep(1)  # compiling takes some seconds more, training would take hours
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "Interrupted; no partial files were written."
    assert laboratory.results() == before
    assert not list(tmp_path.glob("cache/**/kernel_passes*.nbo"))


def test_the_miniature_differs_from_the_shipped_parameters_only_in_size() -> None:
    shipped = (Path(__file__).parents[2] / "params.yaml").read_text()
    for key in ("data:", "network:", "training:", "seeds:", "initializers:", "comparison:"):
        assert key in shipped
        assert key in MINIATURE


JUNK = (
    "own/__pycache__/example.cpython-313.pyc",
    "own/.DS_Store",
    "own/._example.py",
    "own/example.py~",
    "own/.example.py.swp",
    "own/.#example.py",
    "own/#example.py#",
    "own/.ipynb_checkpoints/example-checkpoint.py",
    "jobs/.DS_Store",
    "trajectories/he.npz.part",
    "diagnostics/.DS_Store",
    "diagnostics/he/.DS_Store",
    "diagnostics/he/layers.csv.part",
    "runs/.DS_Store",
    "runs/he/.DS_Store",
    "runs/he/weights.npz.part",
    "data/.DS_Store",
    "reports/figures/Thumbs.db",
    "reports/runs.csv.part",
)


def assert_clean(laboratory: Laboratory) -> None:
    assert laboratory.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"
    assert laboratory.run("git", "status", "--porcelain").stdout == ""


def test_what_python_and_desktops_leave_in_a_folder_changes_nothing(laboratory: Laboratory) -> None:
    """The dependencies and outputs that are folders: own, jobs, runs, trajectories, diagnostics."""
    lock = (laboratory.root / "dvc.lock").read_bytes()
    laboratory.run("python", "-c", "import own.example")
    assert list(laboratory.root.glob("own/__pycache__/*.pyc"))
    assert_clean(laboratory)
    assert laboratory.repro() == []
    for name in JUNK:
        path = laboratory.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("left behind")
    assert_clean(laboratory)
    assert laboratory.repro() == []
    assert laboratory.repro("--single-item", "--force", "resolve") == ["resolve"]
    assert laboratory.repro() == []
    assert_clean(laboratory)
    assert (laboratory.root / "dvc.lock").read_bytes() == lock
