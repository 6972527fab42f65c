"""The MLflow page of the experiment: a description, and saved views with filters and columns that fit on a screen.

MLflow stores the views of its page (button "Views") as tags of the experiment; these tags have the same format. If
another version of MLflow ignores them, the filters are also in the description.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple


class View(NamedTuple):
    """A saved view: runs and columns."""

    name: str
    meaning: str
    filter: str
    columns: Sequence[str]
    order: str = "attributes.start_time"  # with another order MLflow lists child runs without their parents
    charts: Sequence[tuple[str, str]] = ()  # kind and metric or image; none: the charts of MLflow


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
        "only the results, one per row",
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
        "one run per initializer, with quantiles of the cost over seeds",
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
        "He models with a training accuracy below 90 %",
        "params.initializer = 'he' and metrics.train_accuracy < 0.9",
        MODEL,
        LEARNED,
    ),
    "leaps": View(
        "Leaps",
        "models whose cost rose sharply during training",
        "tags.behaviour = 'unstable' and tags.level = 'model'",
        MODEL,
        LEARNED,
    ),
    "models": View(
        "Models",
        "all models, the best first",
        "tags.level = 'model'",
        ("params.`initializer`", "params.`seed`", *MODEL),
        LEARNED,
    ),
}
PREFIX = "mlflow.sharedViewState."
SAVED = 1767225600000  # time in ms; constant, so that the tags are
MORE = {"`` tags.`dvc.experiments` LIKE '%wilder%' ``": "one DVC experiment, by its name"}


def page(experiment: str, key: str) -> str:
    """The URL of a view of an experiment, relative to the address of the server."""
    mode = "&compareRunsMode=CHART" if VIEWS[key].charts else ""
    return f"#/experiments/{experiment}/runs?viewStateShareKey={key}&workflowType=machine_learning{mode}"


def tags(experiment: str) -> dict[str, str]:
    """The tags of the experiment that define its page."""
    saved = {f"{PREFIX}{key}": state(view, SAVED + place) for place, (key, view) in enumerate(VIEWS.items())}
    kind = {"mlflow.experimentKind": "custom_model_development"}
    return kind | {"mlflow.note.content": description(experiment)} | saved


def description(experiment: str) -> str:
    """The description of the experiment in Markdown. MLflow shows only the first line until it is expanded."""
    rows = [f"| [{view.meaning}]({page(experiment, key)}) | `{view.filter}` |" for key, view in VIEWS.items()]
    rows += [f"| {meaning} | {text} |" for text, meaning in MORE.items()]
    return "\n".join(
        [
            "How does weight initialization affect training? "
            + " · ".join(f"[{view.name}]({page(experiment, key)})" for key, view in VIEWS.items()),
            "",
            "Each result of the pipeline is a run with its tables and figures. Its child runs are one per initializer, "
            "with quantiles of the cost over seeds, and one per trained model.",
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
    """A chart in the format of the MLflow page: lines on a logarithmic scale, bars, or images with a slider."""
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
    """A view in the format of the MLflow page."""
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
