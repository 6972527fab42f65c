"""What a person sees who opens MLflow's page in the repository, by a real browser: one result and three experiments."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from mlflow import MlflowClient

from pipeline.tracking import store, ui_views
from pipeline.tracking.publish import filtered
from tests import browser, stores
from tests.conftest import QUEUED, ROOT, Laboratory

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.name != "posix", reason="ends the server's processes as a group"),
    pytest.mark.skipif(not (browser.CHROMIUM and browser.DRIVER), reason=browser.NEEDED),
]
RIGHT = "\ue014"  # WebDriver's code for the key
INITIALIZERS, SEEDS = ("zeros", "small", "he"), (3, 5)
EXPERIMENTS = (*QUEUED, "std20")  # two queued learning rates, and an initializer's setting


@pytest.fixture(scope="module")
def ids(experimented: Laboratory) -> dict[str, str]:
    """The ids of MLflow's experiments."""
    client = MlflowClient(experimented.store)
    return {level: client.get_experiment_by_name(name).experiment_id for level, name in store.EXPERIMENTS.items()}


@pytest.fixture(scope="module")
def results(experimented: Laboratory) -> dict[str, str]:
    """The ids of the runs of results by their names; the committed one is `committed`."""
    found = stores.runs(MlflowClient(experimented.store), "results")
    return {run.info.run_name.partition(" params")[0]: run.info.run_id for run in found}


@pytest.fixture(scope="module")
def address(experimented: Laboratory) -> Iterator[str]:
    """Where `mlflow ui`, started in the repository without an option for the store, serves."""
    port = browser.free_port()
    quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(
        ["mlflow", "ui", "--workers", "1", "--port", str(port)],
        cwd=experimented.root,
        env=experimented.environment | quick,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        browser.answering(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


@pytest.fixture(scope="module")
def page(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    with browser.browser(tmp_path_factory.mktemp("browser")) as tab:
        tab.open(address)
        tab.run("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        tab.run("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")
        yield tab


def listed(page: browser.Browser) -> list[str]:
    """The names of the runs in the list, from top to bottom."""
    script = (
        "return [...document.querySelectorAll('.ag-center-cols-container, .ag-pinned-left-cols-container')]"
        ".flatMap(c => [...c.querySelectorAll('[role=row]')]).map(r => [Number(r.getAttribute('row-index')),"
        "(r.querySelector('a[href*=\"/runs/\"]') || {}).textContent]).filter(r => r[1]).sort((a, b) => a[0] - b[0])"
    )
    return [name for _, name in page.run(script)]


def view(address: str, ids: dict[str, str], level: str, key: str, charts: bool = False) -> str:
    return address + ui_views.page(ids[level], key, charts)


# ---------------------------------------------------------------------------------------------------------------------
# Compare


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_two_results_differ_where_dvc_params_diff_says(
    experimented: Laboratory, page: browser.Browser, address: str, ids: dict, results: dict, name: str
) -> None:
    runs = quote(json.dumps([results["committed"], results[name]]))
    page.open(f"{address}#/compare-runs?runs={runs}&experiments={quote(json.dumps([ids['results']]))}")
    page.wait_for("training.learning_rate", "he/share_at_target")
    rows = page.run(
        "return [...document.querySelectorAll('table')].find(t => t.textContent.includes('training.iterations'))"
        ".querySelectorAll('tr.diff-row').values().map(r => [...r.children].map(c => c.textContent)).toArray()"
    )
    said = json.loads(experimented.run("dvc", "params", "diff", "main", name, "--json").stdout.splitlines()[-1])
    changes = said["params.yaml"].items()
    expected = [[key, str(values["old"]), str(values["new"])] for key, values in changes]
    assert rows == expected
    assert len(rows) == 1
    files = sorted((experimented.root / "reports" / "metrics").iterdir())
    assert [path.stem for path in files] == sorted(INITIALIZERS)
    for path in files:
        assert all(f"{path.stem}/{key}" in page.text() for key in json.loads(path.read_text()))


# ---------------------------------------------------------------------------------------------------------------------
# Find


def test_the_start_page_leads_to_the_results(page: browser.Browser, address: str, ids: dict) -> None:
    page.open(address)
    page.click("a", store.EXPERIMENTS["results"])
    page.wait_for("Results of the pipeline, one run each")
    link = page.wait("return ([...document.querySelectorAll('a')].find(a => a.textContent == 'Charts') || {}).href")
    assert link == view(address, ids, "results", "chart", True)


def test_every_result_is_one_row_with_the_parameters_that_differ(
    page: browser.Browser, address: str, ids: dict
) -> None:
    page.open(view(address, ids, "results", "results"))
    page.wait_for("4 matching runs", *EXPERIMENTS)
    (committed,) = (name for name in listed(page) if name.startswith("committed params "))
    newest, *queued, oldest = listed(page)
    assert (newest, sorted(queued), oldest) == ("std20", list(QUEUED), committed)
    page.wait("return document.querySelectorAll('.ag-header-cell').length > 6")
    headers = page.run("return [...document.querySelectorAll('.ag-header-cell')].map(c => c.getAttribute('col-id'))")
    differing = {"initializers.small.std", "training.learning_rate"}
    assert {header[8:-1] for header in headers if header.startswith("params.")} == differing
    assert "0ms" not in page.text()


def documented_filters() -> list[tuple[str, str]]:
    """The level and the filter of each item in "Find a run" of docs/tracking.md."""
    page = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
    return [(level, text) for level, _, text in re.findall(r"(?m)^- (\w+): .*:\n  (`+)(.*)\2$", page)]


def test_the_filters_of_the_documentation(experimented: Laboratory) -> None:
    client = MlflowClient(experimented.store)
    found = [
        (level, sorted(run.info.run_name for run in stores.runs(client, level, filter_string)))
        for level, filter_string in documented_filters()
    ]
    learned = [
        run.info.run_name for run in stores.runs(client, "results") if run.data.metrics["he/train_accuracy"] >= 0.9
    ]
    rising = [run.info.run_name for run in stores.runs(client, "models") if run.data.metrics["largest_rise"] > 0.01]
    small = {"small": ", std=0.02"}
    assert found[:5] == [
        ("models", ["he seed 3, learning_rate=5.0"]),
        ("models", sorted(f"{name} seed {seed}{small.get(name, '')}" for name in INITIALIZERS for seed in SEEDS)),
        ("initializers", sorted(f"{name}{small.get(name, '')}" for name in INITIALIZERS)),
        ("results", sorted(learned)),
        ("models", sorted(rising)),
    ]
    assert len(found) == 6
    assert len(found[5][1]) == 10
    assert all(" seed 3" in name for name in found[5][1])


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, ["he seed 3, learning_rate=5.0"]), (2, ["he", "small, std=0.02", "zeros"])],
)
def test_filters_in_the_search_box(
    page: browser.Browser, address: str, ids: dict, number: int, expected: list[str]
) -> None:
    level, filter_string = documented_filters()[number]
    page.open(address + filtered(ids[level], filter_string))
    end = time.monotonic() + 180
    while sorted(listed(page)) != expected:
        assert time.monotonic() < end, f"{listed(page)}\n{page.text()}"
        time.sleep(0.2)


# ---------------------------------------------------------------------------------------------------------------------
# Charts


def test_the_results_are_drawn_over_the_parameters_that_differ(page: browser.Browser, address: str, ids: dict) -> None:
    page.open(view(address, ids, "results", "chart", True))
    page.wait_for("Comparison", "he/share_at_target", "training.learning_rate")
    points = "return [...document.querySelectorAll('.scatterlayer')].map(l => l.querySelectorAll('path.point').length)"
    page.wait(f"{points}.some(n => n == 4)")


def test_the_initializers_of_the_newest_result_are_drawn(page: browser.Browser, address: str, ids: dict) -> None:
    page.open(view(address, ids, "initializers", "latest", True))
    page.wait_for("3 matching runs", "zeros (cost_median)", "small, std=0.02 (cost_median)")
    page.wait("return document.querySelectorAll('.scatterlayer .trace path.js-line').length >= 3")
    page.wait("return [...document.querySelectorAll('img')].some(i => i.naturalWidth > 200)")


def test_the_highlighted_seed_is_drawn_with_its_boundary(page: browser.Browser, address: str, ids: dict) -> None:
    page.open(view(address, ids, "models", "highlighted", True))
    page.wait_for("3 matching runs", "zeros seed 3 (cost)", "small seed 3, std=0.02 (cost)")
    page.wait("return document.querySelectorAll('.scatterlayer .trace path.js-line').length >= 3")
    page.wait("return [...document.querySelectorAll('img')].some(i => i.naturalWidth > 200)")
    slider = "document.querySelector('[role=slider][aria-valuemax=\"40\"]')"
    page.wait(f"return {slider}.getAttribute('aria-valuenow') == '40'")
    page.press("[role=slider][aria-valuemax='40']", "\ue012")  # the left arrow
    page.wait(f"return {slider}.getAttribute('aria-valuenow') == '10'")


VIEWS = [("results", "results"), ("initializers", "initializers"), ("models", "models")]


@pytest.mark.parametrize(("level", "key"), VIEWS)
def test_the_columns_of_a_view_fit_on_a_screen(
    experimented: Laboratory, page: browser.Browser, address: str, ids: dict, level: str, key: str
) -> None:
    page.open(view(address, ids, level, key))
    page.wait("return document.querySelectorAll('.ag-header-cell').length > 6")
    columns = {
        "results": ["metrics.`he/share_at_target`", "params.`training.learning_rate`"],
        "initializers": ["metrics.`share_at_target`", "tags.`results`"],
        "models": ["metrics.`train_accuracy`", "tags.`results`"],
    }
    for column in columns[level]:
        edge = page.wait(
            "const header = [...document.querySelectorAll('.ag-header-cell')]"
            ".find(e => e.getAttribute('col-id') == arguments[0]);"
            "return header && header.getBoundingClientRect().right",
            column,
        )
        assert edge <= page.run("return window.innerWidth")


# ---------------------------------------------------------------------------------------------------------------------
# A result and its models


def test_a_result_shows_its_report_figures_data_and_origin(
    page: browser.Browser, address: str, ids: dict, results: dict
) -> None:
    run = f"{address}#/experiments/{ids['results']}/runs/{results['std20']}"
    page.open(f"{run}/artifacts/reports/figures/cost_curves.png")
    page.wait("return [...document.querySelectorAll('img')].some(i => i.naturalWidth > 600)")
    page.open(f"{run}/artifacts/reports/comparison.csv")
    page.wait_for("train_accuracy_mean", "zeros", "small", "he")
    page.open(run)
    page.wait_for("Comparison of initializers", "circles train", "he/share_at_target", "initializers.small.std")
    page.open(page.run("return [...document.querySelectorAll('a')].find(a => a.textContent == 'models').href"))
    page.wait_for("6 matching runs", "small seed 3, std=0.02")


def test_the_models_tab_shows_the_highlighted_seeds_with_metrics_and_signature(
    page: browser.Browser, address: str, ids: dict
) -> None:
    page.open(f"{address}#/experiments/{ids['models']}/models?workflowType=machine_learning")
    page.wait_for("he-seed-3", "zeros-seed-3", "Ready", "he seed 3, learning_rate=5.0")
    links = "[...document.querySelectorAll('a')].filter(a => /-seed-[0-9]/.test(a.textContent))"
    assert page.run(f"return {links}.length") == 3 + 1 + 3 + 3  # zeros and he are the same with another std of small
    page.open(page.run(f"return {links}.find(a => a.textContent == 'he-seed-3').href"))
    page.wait_for("train_accuracy", "test_accuracy", "largest_rise", "he_normal")
    page.open(page.run("return location.href") + "/artifacts")
    page.wait_for("MLmodel", "weights.npz")
    page.run("[...document.querySelectorAll('*')].filter(e => e.textContent == 'MLmodel').pop().click()")
    page.wait_for("signature", "[-1, 2]")
