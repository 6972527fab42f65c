"""What a person sees who opens MLflow's page in the repository, by a real browser."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient

from pipeline.tracking import publish, ui_views
from tests import browser
from tests.conftest import Laboratory

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.name != "posix", reason="ends the server's processes as a group"),
    pytest.mark.skipif(not (browser.CHROMIUM and browser.DRIVER), reason=browser.NEEDED),
]
RIGHT = "\ue014"  # WebDriver's code for the key
INITIALIZERS, SEEDS = ("zeros", "small", "he"), (3, 5)


@pytest.fixture(scope="module")
def address(finished: Laboratory) -> Iterator[str]:
    """Where `mlflow ui`, started in the repository without a word about the store, is to be seen."""
    port = browser.free_port()
    quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(
        ["mlflow", "ui", "--workers", "1", "--port", str(port)],
        cwd=finished.root,
        env=finished.environment | quick,
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


@pytest.fixture(scope="module")
def runs(finished: Laboratory) -> dict[str, str]:
    """The ids of runs by their names."""
    client = MlflowClient(f"sqlite:///{finished.root.as_posix()}/mlflow.db")
    experiment = client.get_experiment_by_name(publish.EXPERIMENT).experiment_id
    return {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}


def listed(page: browser.Browser) -> list[str]:
    """The names of the runs in the list, from top to bottom."""
    script = (
        "return [...document.querySelectorAll('.ag-center-cols-container, .ag-pinned-left-cols-container')]"
        ".flatMap(c => [...c.querySelectorAll('[role=row]')]).map(r => [Number(r.getAttribute('row-index')),"
        "(r.querySelector('a[href*=\"/runs/\"]') || {}).textContent]).filter(r => r[1]).sort((a, b) => a[0] - b[0])"
    )
    return [name for _, name in page.run(script)]


def come(page: browser.Browser, expected: list[str]) -> None:
    """Wait until the list is this one."""
    end = time.monotonic() + 30
    while (found := listed(page)) != expected:
        assert time.monotonic() < end, f"{found}\n{page.text()}"
        time.sleep(0.2)


def test_the_start_page_leads_to_the_runs(page: browser.Browser, address: str) -> None:
    page.open(address)
    page.click("a", publish.EXPERIMENT)
    page.wait_for("How does weight initialization affect training?")
    link = page.wait("return ([...document.querySelectorAll('a')].find(a => a.textContent == 'Results') || {}).href")
    assert link == address + ui_views.page("1", "results")
    page.open(link)
    page.wait_for("Runs", "pipeline ", "tags.level = 'pipeline'")


def test_children_stand_below_their_parent(page: browser.Browser, address: str, runs: dict[str, str]) -> None:
    page.open(f"{address}#/experiments/1/runs?workflowType=machine_learning")
    (parent,) = (name for name in runs if name.startswith("pipeline "))
    come(page, [parent])
    page.click(".ag-cell button")
    models = [f"{name} seed {seed}" for name in INITIALIZERS for seed in SEEDS]
    come(page, [parent, *(f"{name}, 2 seeds" for name in INITIALIZERS), *models])


@pytest.mark.parametrize("key", ["results", "initializers", "seed_3", "models"])  # no model here is stuck or leaps
def test_the_columns_of_a_view_fit_on_a_screen(page: browser.Browser, address: str, key: str) -> None:
    page.open(f"{address}{ui_views.page('1', key).replace('&compareRunsMode=CHART', '')}")
    page.wait_for(ui_views.VIEWS[key].name)
    page.wait(
        "return (document.querySelector('[data-testid=search-box]') || {}).value == arguments[0]",
        ui_views.VIEWS[key].filter,
    )
    edge = (
        "const header = [...document.querySelectorAll('.ag-header-cell')]"
        ".find(e => e.getAttribute('col-id') == arguments[0]);"
        "return header && header.getBoundingClientRect().right"
    )
    shown = [
        column
        for column in ui_views.VIEWS[key].columns
        if not column.endswith((".`iterations_to_target`", "experiments`"))
    ]
    edges = [page.wait(edge, column) for column in shown]  # those of which a run has something
    assert max(edges) <= page.run("return window.innerWidth")


def test_a_filter_of_the_readme_works(page: browser.Browser, address: str) -> None:
    page.open(f"{address}{ui_views.page('1', 'models')}")
    page.wait_for("6 matching runs")
    given = "params.initializer%20%3D%20%27he%27%20and%20metrics.train_accuracy%20%3C%201.1"
    page.open(
        f"{address}#/experiments/1/runs?workflowType=machine_learning&searchFilter={given}&orderByKey=params.seed"
    )
    page.wait_for("he seed 3", "he seed 5")
    assert "small seed 3" not in page.text()


def test_charts_show_cost_curves_and_boundaries(page: browser.Browser, address: str) -> None:
    page.open(f"{address}{ui_views.page('1', 'seed_3')}")
    page.wait_for("Model metrics", *(f"{name} seed 3 (cost)" for name in INITIALIZERS), "boundary")
    curves = "return document.querySelectorAll('.scatterlayer .trace path.js-line').length"
    page.wait(f"{curves} >= 3")
    page.wait("return [...document.querySelectorAll('img')].some(i => i.naturalWidth > 200)")
    page.press("[role=slider]", RIGHT)
    page.wait("return document.querySelector('[role=slider]').getAttribute('aria-valuenow') == '1'")
    assert page.run("return document.querySelector('[role=slider]').getAttribute('aria-valuemax')") == "40"


def test_artifacts_show_table_and_figures(page: browser.Browser, address: str, runs: dict[str, str]) -> None:
    (parent,) = (run for name, run in runs.items() if name.startswith("pipeline "))
    page.open(f"{address}#/experiments/1/runs/{parent}/artifacts/reports/figures/cost_curves.png")
    page.wait("return [...document.querySelectorAll('img')].some(i => i.naturalWidth > 600)")
    page.open(f"{address}#/experiments/1/runs/{parent}/artifacts/reports/comparison.csv")
    page.wait_for("train_accuracy_mean", "zeros", "small", "he")
    page.open(f"{address}#/experiments/1/runs/{parent}")
    page.wait_for("Comparison of initializers", "he, 2 seeds")


def test_a_model_tells_data_and_origin(page: browser.Browser, address: str, runs: dict[str, str]) -> None:
    page.open(f"{address}#/experiments/1/runs/{runs['he seed 5']}")
    page.wait_for("circles train", "recipe", "he_normal", "Parent run")
