"""What the page of MLflow's experiment shows: a description, and views with a filter and columns that fit on a screen.

MLflow keeps the views that its page saves (the button "Views") as tags of the experiment; these are made alike. Should
another version not know them, nothing else suffers: the filters stand in the description too.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple


class View(NamedTuple):
    """A choice of runs and columns."""

    name: str
    tells: str
    filter: str
    columns: Sequence[str]
    order: str = "attributes.start_time"  # any other lists children by themselves, not folded up below their parents
    charts: Sequence[tuple[str, str]] = ()  # kind and metric or image; none: those that MLflow makes


MODEL = (
    "metrics.`train_accuracy`",
    "metrics.`test_accuracy`",
    "metrics.`final_cost`",
    "metrics.`iterations_to_target`",
    "tags.`behaviour`",
)
CHARTS = (
    ("LINE", "cost"),
    ("IMAGE", "boundary"),
    ("LINE", "first_gradient"),
    ("BAR", "train_accuracy"),
    ("BAR", "test_accuracy"),
    ("BAR", "final_cost"),
)
LEARNED = "metrics.`train_accuracy`"
VIEWS = {
    "results": View(
        "Results",
        "the results alone, one a row",
        "tags.level = 'pipeline'",
        (
            "tags.`dvc.experiments`",
            "params.`data.name`",
            "params.`network.hidden_sizes`",
            "params.`network.activation`",
            "params.`training.learning_rate`",
            "params.`n_seeds`",
        ),
    ),
    "initializers": View(
        "Initializers",
        "each initializer over its seeds, costs with quantiles",
        "tags.level = 'initializer'",
        (
            "metrics.`train_accuracy_mean`",
            "metrics.`test_accuracy_mean`",
            "metrics.`share_at_target`",
            "metrics.`cost_median`",
            "tags.`behaviour`",
        ),
        "metrics.`train_accuracy_mean`",
    ),
    "seed_3": View("Seed 3", "the models of seed 3", "params.seed = '3'", MODEL, LEARNED, CHARTS),
    "stuck": View(
        "He stuck",
        "where He went wrong",
        "params.initializer = 'he' and metrics.train_accuracy < 0.9",
        MODEL,
        LEARNED,
    ),
    "leaps": View(
        "Leaps",
        "models whose cost jumped up on the way",
        "tags.behaviour = 'unstable' and tags.level = 'model'",
        MODEL,
        LEARNED,
    ),
    "models": View(
        "Models",
        "every model, the best first",
        "tags.level = 'model'",
        ("params.`initializer`", "params.`seed`", *MODEL),
        LEARNED,
    ),
}
PREFIX = "mlflow.sharedViewState."
SAVED = 1767225600000  # when, in ms; the same always, so that the tags are
MORE = {"`` tags.`dvc.experiments` LIKE '%wilder%' ``": "one experiment of DVC, with its name"}


def page(experiment: str, key: str) -> str:
    """Where a view of an experiment is to be seen, from the server's address on."""
    mode = "&compareRunsMode=CHART" if VIEWS[key].charts else ""
    return f"#/experiments/{experiment}/runs?viewStateShareKey={key}&workflowType=machine_learning{mode}"


def tags(experiment: str) -> dict[str, str]:
    """The tags of an experiment that make its page."""
    saved = {f"{PREFIX}{key}": state(view, SAVED + place) for place, (key, view) in enumerate(VIEWS.items())}
    kind = {"mlflow.experimentKind": "custom_model_development"}
    return kind | {"mlflow.note.content": description(experiment)} | saved


def description(experiment: str) -> str:
    """What the experiment is, in Markdown. Its first line is all that MLflow shows before it is opened."""
    rows = [f"| [{view.tells}]({page(experiment, key)}) | `{view.filter}` |" for key, view in VIEWS.items()]
    rows += [f"| {tells} | {text} |" for text, tells in MORE.items()]
    return "\n".join(
        [
            "How does the way a network's weights are born decide how it learns? "
            + " · ".join(f"[{view.name}]({page(experiment, key)})" for key, view in VIEWS.items()),
            "",
            "Each result of the pipeline is a run with its tables and figures. Below it stand a run for each "
            "initializer, which tells how the costs spread over the seeds, and a run for each trained model.",
            "",
            "| to see | filter |",
            "|---|---|",
            *rows,
        ]
    )


SECTION = {
    "uuid": "models",
    "name": "Model metrics",
    "display": True,
    "isReordered": False,
    "columns": 2,
    "cardHeight": 420,
}


def charted(kind: str, key: str) -> dict[str, Any]:
    """A chart as MLflow's page keeps it: lines on a logarithmic scale, bars, or images with a slider."""
    chart: dict[str, Any] = {"type": kind, "uuid": f"{kind} {key}", "metricSectionId": SECTION["uuid"]}
    chart |= {"runsCountToCompare": 10, "deleted": False, "isGenerated": False, "displayName": key}
    if kind == "IMAGE":
        return chart | {"imageKeys": [key], "step": 0, "showRunParams": False}
    if kind == "BAR":
        return chart | {"metricKey": key}
    scale = {"scaleType": "log", "xAxisScaleType": "linear", "xAxisKey": "step", "selectedXAxisMetricKey": ""}
    shape = {"range": {}, "lineSmoothness": 0, "yAxisKey": "metric", "yAxisExpressions": []}
    return chart | scale | shape | {"metricKey": key, "selectedMetricKeys": [key]}


def state(view: View, when: int) -> str:
    """A view as MLflow's page saves it."""
    chosen: dict[str, Any] = {
        "searchFilter": view.filter,
        "orderByKey": view.order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(view.columns),
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    if view.charts:
        chosen |= {"compareRunSections": [SECTION], "compareRunCharts": [charted(*chart) for chart in view.charts]}
    packed = base64.b64encode(zlib.compress(json.dumps(chosen).encode())).decode()
    return json.dumps({"name": view.name, "createdAt": when, "updatedAt": when, "state": f"deflate;{packed}"})
