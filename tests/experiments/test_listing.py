"""Experiments as users drive them: DVC's commands in a repository of its own, with miniature parameters."""

import copy
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.experiments import listing
from pipeline.tracking import provenance
from pipeline.tracking.publish import names_of
from pipeline.tracking.store import LEVELS
from tests.conftest import QUEUED, ROOT, Laboratory
from tests.stores import runs

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
BLOCKED = ["--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"]  # nothing listens there
SCRIPTS = {  # of npm: SHA-256 of build/<package>.min.js
    "vega@5.33.1": "463f3db6a40b20e9747b4ed38f37ed0add508838f9141b1cf8366784b07b30c8",
    "vega-lite@5.23.0": "58c27358e26f2d319cf62f45bc17a4c8362f08645001df2ec8d341eee4097c7f",
    "vega-embed@6.29.0": "12d02acfbe3ec59ef9a37dd4822a2e04e2961b5bbb671bbe661d2221715b99da",
}


def experiment(name: str, params: dict[str, object], costs: dict[str, float]) -> listing.Experiment:
    """A finished experiment with some initializers."""
    metrics = {f"{initializer}.final_cost": cost for initializer, cost in costs.items()}
    return listing.Experiment(name, name, "success", params, metrics)


def table(*experiments: listing.Experiment) -> tuple[list[list[str]], str]:
    """The cells of the table, the header first, and the sentence below it; the workspace is the commit."""
    text, _, below = listing.experiments_table([experiments[0], *experiments], "final_cost").partition("\n\n")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return [lines[0], *lines[2:]], below


HE = {"initializers.he.recipe": "he_normal", "initializers.he.gain": 1.0}
XAVIER = {"initializers.xavier.recipe": "xavier_uniform", "initializers.xavier.gain": 1.0}


def test_an_experiment_without_an_initializer() -> None:
    """One column says so, in place of one for each parameter and result of the initializer."""
    main = experiment("main", {"rate": 1, **HE, **XAVIER}, {"he": 0.5, "xavier": 0.25})
    less = experiment("less", {"rate": 2, **HE}, {"he": 0.75})
    assert table(main, less)[1] == ""  # no other experiment has xavier
    rows, below = table(main, less, main._replace(name="same"))
    assert rows == [
        ["experiment", "initializers", "rate", "he"],
        ["main", "–", "1", "0.5"],
        ["less", "without xavier", "2", "0.75"],
        ["same", "–", "1", "0.5"],
    ]
    assert below == "Identical in all that have them: xavier.\n"
    assert table(main, main._replace(name="same"))[0][0] == ["experiment"]


def test_parameters_of_an_initializer_that_others_changed_or_added() -> None:
    """A parameter that differs among the experiments that have it has its column, as has one that is new."""
    main = experiment("main", {**HE, **XAVIER}, {"he": 0.5, "xavier": 0.25})
    less = experiment("less", HE, {"he": 0.5})
    gain = experiment("gain", {**HE, **XAVIER, "initializers.xavier.gain": 2.0}, {"he": 0.5, "xavier": 0.75})
    wide = experiment("wide", {**HE, **XAVIER, "initializers.wide.std": 2.0}, {"he": 0.5, "xavier": 0.25, "wide": 1.5})
    rows, below = table(main, less, gain, wide)
    assert rows == [
        ["experiment", "initializers", "initializers.xavier.gain", "initializers.wide.std", "xavier", "wide"],
        ["main", "–", "1", "–", "0.25", "–"],
        ["less", "without xavier", "–", "–", "–", "–"],
        ["gain", "–", "2", "–", "0.75", "–"],
        ["wide", "–", "1", "2", "0.25", "1.5"],
    ]
    assert below == "Identical in all: he.\n"


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("nosuch", "There is no metric 'nosuch'; there are train_accuracy, "),
        ("test_acuracy", "There is no metric 'test_acuracy'; did you mean test_accuracy? There are train_accuracy, "),
        ("", "There is no metric ''; there are train_accuracy, "),
    ],
)
def test_an_unknown_metric(metric: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, before DVC is started; no usage of a command that the user did not type."""
    assert listing.main([f"--metric={metric}"]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(said)
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert all(name in shown.err for name in listing.METRICS)


@pytest.fixture
def own(experimented: Laboratory, tmp_path: Path) -> Laboratory:
    """A copy of it, to be changed at will."""
    return experimented.copied(tmp_path)


def cells(output: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in output.splitlines() if line]


def final_cost(laboratory: Laboratory, rev: str, initializer: str = "he") -> float:
    text = laboratory.run("git", "show", f"{rev}:reports/metrics/{initializer}.json").stdout
    return float(json.loads(text)["final_cost"])


def names(laboratory: Laboratory) -> dict[str, str]:
    """The commits of the experiments."""
    shown = laboratory.run("git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").stdout
    return {ref.rpartition("/")[2]: commit for ref, commit in cells(shown) if "EXEC" not in ref}


def test_what_was_asked_and_what_came_out_against_the_commit(experimented: Laboratory) -> None:
    commit = names(experimented)["std20"]
    before, after = final_cost(experimented, "main", "small"), final_cost(experimented, commit, "small")
    assert cells(experimented.run("dvc", "params", "diff").stdout) == [
        ["Path", "Param", "HEAD", "workspace"],
        ["params.yaml", "initializers.small.std", "0.01", "0.02"],
    ]
    shown = experimented.run("dvc", "metrics", "diff", "--precision", "17").stdout
    rows = {(Path(row[0]).stem, row[1]): row for row in cells(shown)}
    assert [float(number) for number in rows["small", "final_cost"][2:4]] == [before, after]
    assert not any(name in ("zeros", "he") for name, _ in rows)  # which have no std
    shown = experimented.run("dvc", "exp", "diff", "main", "std20").stdout
    differences = {row[1]: row for row in cells(shown) if len(row) > 1 and row[0] == "params.yaml"}
    rows = {(Path(row[0]).stem, row[1]): row for row in cells(shown) if len(row) > 1}
    assert differences["initializers.small.std"] == ["params.yaml", "initializers.small.std", "0.01", "0.02", "0.01"]
    assert float(rows["small", "final_cost"][4]) == pytest.approx(after - before, abs=1e-5)  # five digits are printed


def test_experiments_side_by_side(experimented: Laboratory) -> None:
    said = experimented.run("python", "-m", "pipeline.experiments").stdout
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if "|" in line]
    assert header == ["experiment", "training.learning_rate", "initializers.small.std", "small", "he"]
    commits = names(experimented)
    assert sorted(row[:3] for row in rows) == [
        ["main", "0.1", "0.01"],
        ["rate-1", "0.05", "0.01"],
        ["rate-2", "5", "0.01"],
        ["std20", "0.1", "0.02"],
    ]
    for name, *_, he in rows:
        assert he == f"{final_cost(experimented, commits.get(name, name)):.4g}"
    assert said.endswith("Identical in all: zeros.\n")
    unknown = experimented.run("python", "-m", "pipeline.experiments", "--rev", "nowhere", check=False)
    assert (unknown.returncode, unknown.stdout.count("\n")) == (1, 1)
    assert "unknown Git revision 'nowhere'" in unknown.stdout


def test_results_of_other_parameters_count_nowhere(laboratory: Laboratory) -> None:
    """A commit whose parameters were edited and never run, beside two experiments that did run.

    They differ in their seeds and initializers besides.
    """
    laboratory.change("params.yaml", "iterations: 40", "iterations: 20")
    laboratory.commit("fewer iterations, not run")
    reason = "training.iterations: 20 in params.yaml, 40 in dvc.lock"
    rate = "training.learning_rate"
    laboratory.run("dvc", "exp", "run", "-n", "fast", "-S", f"{rate}=0.2", "aggregate")
    laboratory.run("git", "restore", ".")
    laboratory.run(
        "dvc",
        "exp",
        "run",
        "-n",
        "slow",
        "-S",
        f"{rate}=0.00001",
        "-S",
        "seeds=[3]",
        "-S",
        "~initializers.small",
        "aggregate",
    )
    laboratory.run("git", "restore", ".")

    said = laboratory.run("python", "-m", "pipeline.experiments").stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line.startswith("|")]
    assert [(row[0], row[-1]) for row in rows if row[0] in ("main", "fast", "slow")] == [
        ("main", "not reproduced"),
        ("fast", f"{final_cost(laboratory, names(laboratory)['fast']):.4g}"),
        ("slow", f"{final_cost(laboratory, names(laboratory)['slow']):.4g}"),
    ]
    assert said.endswith(f"- main: {reason}\n")

    reported = laboratory.run(
        "python", "-m", "pipeline.experiments.sweep", rate, "--figure", "rates.png"
    ).stdout.splitlines()
    assert reported[:4] == [
        f"{rate}: 1e-05 (slow), 0.2 (fast)",
        f"left out: main (not reproduced, {reason})",
        "compared over the 1 seed in common: zeros, he",
        "not compared, in one experiment only: small",
    ]
    costs = {}
    for name in ("fast", "slow"):
        text = laboratory.run("git", "show", f"{names(laboratory)[name]}:reports/runs.csv").stdout
        costs[name] = next(
            float(row["final_cost"])
            for row in csv.DictReader(io.StringIO(text))
            if (row["initializer"], row["seed"]) == ("he", "3")
        )
    (he,) = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in reported if line.startswith("| he ")]
    assert costs["fast"] < costs["slow"]
    assert he[1:3] == ["0.2", f"{costs['fast']:.4g}"]


def edited(laboratory: Laboratory) -> None:
    laboratory.change("params.yaml", "confidence: 0.95", "confidence: 0.9")


def another_code(laboratory: Laboratory) -> None:
    laboratory.write(
        "pipeline/networks/losses.py",
        (laboratory.root / "pipeline" / "networks" / "losses.py").read_text() + "# a change\n",
    )


def another_table(laboratory: Laboratory) -> None:
    (laboratory.root / "reports" / "runs.csv").write_text("initializer,seed\n")


def another_seed(laboratory: Laboratory) -> None:
    laboratory.change("params.yaml", "seeds: [3, 5]", "seeds: {first: 3, last: 5}")


def another_initializer(laboratory: Laboratory) -> None:
    laboratory.change("params.yaml", "  zeros: {", "  nil: {")


def no_lock(laboratory: Laboratory) -> None:
    laboratory.delete("dvc.lock")


CHANGES: list[tuple[Callable[[Laboratory], None], str]] = [
    (edited, "comparison.confidence: 0.9 in params.yaml, 0.95 in dvc.lock"),
    (another_seed, "seeds.first: 3 in params.yaml, none in dvc.lock"),
    (another_initializer, "dvc.lock has no stage train@nil"),
    (another_code, "pipeline is not the one in dvc.lock"),
    (another_table, "reports/runs.csv is not the one in dvc.lock"),
    (no_lock, "dvc.lock is missing or damaged"),
]


def mismatches(*revisions: str) -> list[str]:
    """What does not belong together in the workspace or in a commit of the current folder."""
    trees = [listing._tree(rev) for rev in revisions]
    return [listing.mismatch(provenance.flat(provenance.parse(tree.read("params.yaml"))), tree) for tree in trees]


def test_what_was_not_made_from_what_lies_beside_it(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the workspace and in the commit of it, of the files that DVC wrote; test_mismatch.py has more cases."""
    monkeypatch.chdir(laboratory.root)
    assert mismatches("workspace", "HEAD") == ["", ""]
    for change, reason in CHANGES:
        change(laboratory)
        laboratory.commit("changed")
        assert mismatches("workspace", "HEAD") == [reason, reason]
        laboratory.run("git", "reset", "-q", "--hard", "HEAD~1")


def test_models_trained_from_other_parameters_than_the_table(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dvc repro --single-item --force aggregate` writes tables of the old models with the new parameters."""
    laboratory.change("params.yaml", "learning_rate: 0.1", "learning_rate: 0.2")
    assert laboratory.repro("--single-item", "aggregate") == []
    assert laboratory.repro("--single-item", "--force", "aggregate") == ["aggregate"]
    monkeypatch.chdir(laboratory.root)
    assert mismatches("workspace") == ["training.learning_rate: 0.2 in params.yaml, 0.1 in dvc.lock"]


def test_a_shallow_clone_warns_of_lost_experiments(laboratory: Laboratory, tmp_path: Path) -> None:
    """Before training, and where experiments are listed; not after the remedy."""
    clone = copy.copy(laboratory)
    clone.root = tmp_path / "clone"
    laboratory.run("git", "clone", "-q", "--depth", "1", laboratory.root.as_uri(), str(clone.root))
    shutil.copytree(laboratory.root / ".dvc" / "cache", clone.root / ".dvc" / "cache")
    clone.run("dvc", "checkout")
    for module in ("pipeline.stages.resolve", "pipeline.experiments", "pipeline.experiments.sweep"):
        assert "warning: this is a shallow clone" in clone.run("python", "-m", module, check=False).stdout
    clone.run("git", "fetch", "-q", "--unshallow")
    assert "warning" not in clone.stage("resolve").stdout


def test_saved_and_applied(own: Laboratory) -> None:
    """An experiment of what `dvc repro` made, and back to another one, without training."""
    std20 = own.results()
    own.run("git", "restore", ".")
    own.run("dvc", "checkout")
    own.change("params.yaml", "target_accuracy: 0.99", "target_accuracy: 0.6")
    assert own.repro("aggregate") == ["resolve", "aggregate"]
    own.run("dvc", "exp", "save", "-n", "modest")
    modest = own.results()
    assert {"std20", "modest"} <= set(names(own))
    own.run("dvc", "exp", "apply", "std20")
    assert own.results() == std20
    assert modest["reports/metrics/small.json"] != std20["reports/metrics/small.json"]
    assert "initializers.small.std" in own.run("dvc", "params", "diff").stdout


def test_the_report_of_one_experiment_without_applying_it(experimented: Laboratory, tmp_path: Path) -> None:
    """By its name, as docs/experiments.md has it, for a folder and for a file; the workspace stays as it is."""
    before, commit = experimented.results(), names(experimented)["std20"]
    experimented.run("dvc", "get", ".", "reports", "--rev", "std20", "-o", str(tmp_path / "std20"))
    figure = "reports/figures/cost_curves.png"
    experimented.run("dvc", "get", ".", figure, "--rev", "std20", "-o", str(tmp_path / "one.png"))
    blob = experimented.run("git", "rev-parse", f"{commit}:{figure}").stdout.strip()
    for path in (tmp_path / "one.png", tmp_path / "std20" / "figures" / "cost_curves.png"):
        assert experimented.run("git", "hash-object", str(path)).stdout.strip() == blob
    text = experimented.run("git", "show", f"{commit}:reports/comparison.md").stdout
    assert (tmp_path / "std20" / "comparison.md").read_text(encoding="utf-8").strip() == text.strip()
    assert experimented.results() == before


def test_pushed_to_a_folder_and_pulled_elsewhere(own: Laboratory, tmp_path: Path) -> None:
    std20 = own.results()
    own.run("git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "laboratory.git"))
    own.run("git", "remote", "add", "origin", str(tmp_path / "laboratory.git"))
    own.run("git", "restore", ".")
    own.run("git", "push", "-q", "-u", "origin", "main")
    own.run("dvc", "remote", "add", "--local", "--default", "shared", str(tmp_path / "cache"))
    own.run("dvc", "exp", "push", "origin", "std20")
    other = copy.copy(own)
    other.root = tmp_path / "clone"
    own.run("git", "clone", "-q", str(tmp_path / "laboratory.git"), str(other.root))
    assert "std20" in other.run("dvc", "exp", "list", "origin").stdout
    other.run("dvc", "remote", "add", "--local", "--default", "shared", str(tmp_path / "cache"))
    other.run("dvc", "exp", "pull", "origin", "std20")
    other.run("dvc", "exp", "apply", "std20")
    pulled = other.results()
    assert pulled == std20
    assert "initializers.small.std" in other.run("dvc", "params", "diff").stdout
    assert json.loads(other.run("dvc", "status", "--json").stdout) == {}


def test_queued_experiments_run_to_their_end_and_use_what_the_repository_has_compiled(
    experimented: Laboratory,
) -> None:
    said = experimented.run("dvc", "queue", "status").stdout
    assert len(re.findall(r"rate-[12] .* Success", said)) == 2
    for name in QUEUED:
        log = experimented.run("dvc", "queue", "logs", name).stdout
        assert "Running stage 'train@he'" in log
        assert "Compiling" not in log


def test_a_queue_of_learning_rates_becomes_a_study(own: Laboratory) -> None:
    reported = own.run("python", "-m", "pipeline.experiments.sweep", "--figure", "docs/learning_rates.png").stdout
    assert reported.splitlines()[:2] == [
        "training.learning_rate: 0.05 (rate-1), 0.1 (main), 5 (rate-2)",
        "left out: std20 (differs in initializers.small.std)",
    ]
    commits = names(own)
    medians = {0.1: final_cost(own, "main")} | {rate: final_cost(own, commits[name]) for name, rate in QUEUED.items()}
    best = min(medians, key=medians.__getitem__)
    (he,) = [line.split("|")[1:-1] for line in reported.splitlines() if line.startswith("| he ")]
    assert [he[1].strip(" *"), he[2].strip()] == [f"{best:g}", f"{medians[best]:.4g}"]
    assert (own.root / "docs" / "learning_rates.png").read_bytes().startswith(b"\x89PNG")


def test_every_result_is_published_once(own: Laboratory) -> None:
    """Queued experiments and those of `--temp` run in checkouts that are deleted, and publish to the repository's store."""
    # The result of rate-2 once more under another name, restored from DVC's cache
    own.run("git", "restore", ".")
    done = own.run("dvc", "exp", "run", "-n", "again", "--temp", "-S", "training.learning_rate=5.0")
    assert "Running stage 'train@he'" not in done.stdout
    client = MlflowClient(own.store)
    found = {run.info.run_name: names_of(run) for run in runs(client, "results")}
    (committed,) = (name for name in found if name.startswith("committed params "))
    assert found == {
        committed: [committed],
        "rate-1": ["rate-1"],
        "rate-2": ["rate-2", "again"],
        "std20": ["std20"],
    }
    # std20 has the zeros and the he of the committed result
    assert [len(runs(client, level)) for level in ("initializers", "models")] == [3 * 3 + 1, 2 * (3 * 3 + 1)]
    assert {run.info.status for level in LEVELS for run in runs(client, level)} == {"FINISHED"}


def test_a_study_of_nothing_is_refused_with_a_sentence(finished: Laboratory) -> None:
    done = finished.run("python", "-m", "pipeline.experiments.sweep", check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("no two finished experiments differ in training.learning_rate alone")
    assert done.stdout.count("\n") == 1
    said = finished.run("python", "-m", "pipeline.experiments").stdout
    assert said == "There are no experiments based on HEAD; `dvc exp run` makes one.\n"


def test_the_scripts_of_the_page_are_those_of_npm() -> None:
    page = (ROOT / ".dvc" / "plots" / "page.html").read_bytes()
    found = re.findall(rb'<script data-package="(.*?)">(.*?)</script>', page, re.DOTALL)
    assert {name.decode(): hashlib.sha256(script).hexdigest() for name, script in found} == SCRIPTS
    frame = re.sub(rb"<script.*?</script>", b"", page, flags=re.DOTALL)
    assert not re.search(rb"(src|href)\s*=|url\(|@import", frame)


def opened(page: str, folder: Path) -> str:
    """What a browser without a network makes of a page."""
    assert BROWSER
    (folder / "opened.html").write_text(page, encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [*BLOCKED, "--virtual-time-budget=20000", "--dump-dom", (folder / "opened.html").as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout


@pytest.mark.browser
@pytest.mark.skipif(not BROWSER, reason="no Chromium or Chrome is installed")
def test_the_page_of_plots_is_drawn_without_a_network(own: Laboratory, tmp_path: Path) -> None:
    own.run("dvc", "plots", "diff", "main", "std20")
    page = (own.root / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    for figure in ("accuracy", "boundaries", "cost_curves"):
        assert len(re.findall(rf'<img src="static/[^"]*{figure}\.png">', page)) == 2
    assert "<canvas" in opened(page, tmp_path)
    # Once more as SVG, in which words and lines can be counted
    as_svg = (
        "new vega.View(vega.parse(vegaLite.compile(spec).spec)).toSVG().then(t => { document.body.innerHTML = t; })"
    )
    drawn = opened(page.replace("</body>", f"<script>{as_svg}</script></body>"), tmp_path)
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", drawn)
    assert [text for text in texts if text in ("zeros", "small", "he")] == ["zeros", "small", "he"]
    assert [text for text in texts if text in ("main", "std20")] == ["main", "std20"]
    assert "Median cost over seeds, with the middle half of the seeds shaded" in texts
    for mark in ("area", "line"):  # of three initializers and two revisions
        groups = re.findall(rf'<g class="mark-{mark} role-mark[^"]*"[^>]*>(.*?)</g>', drawn, re.DOTALL)
        assert sum(group.count("<path") for group in groups) == 6
    fetched = re.sub(r"<script data-package.*?</script>", "", page, flags=re.DOTALL)
    fetched = fetched.replace("<body>", '<script src="https://cdn.jsdelivr.net/npm/vega-embed@6"></script><body>')
    assert "<canvas" not in opened(fetched, tmp_path)  # so the network was blocked indeed
