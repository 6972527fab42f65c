"""The MLflow pages of the three experiments: a description, and saved views with filters, columns and charts.

MLflow stores the views of a page (button "Views") as tags of its experiment; the tags written here have the same
format. If another version of MLflow ignores them, the descriptions contain the filters.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.tracking import store as stores
from pipeline.tracking.publish import contains, names_of
from pipeline.tracking.store import Store

Chart = Mapping[str, Any]


class View(NamedTuple):
    """A saved view: runs, and columns or charts."""

    name: str
    meaning: str
    filter: str
    columns: Sequence[str]
    order: str = "attributes.start_time"
    charts: Sequence[Chart] = ()  # none: the view is a table


PREFIX = "mlflow.sharedViewState."
SAVED = 1767225600000  # time in ms; constant, so that the tags are
MAX_PARAMETERS = 4  # columns and charts of the results
MAX_INITIALIZERS = 8
ESCAPED = r"\|"  # the character | in a table
TITLES = {
    "results": "Results of the pipeline, one run each",
    "initializers": "Initializers over their seeds, one run per initializer and setting",
    "models": "Trained models, one run per initializer, seed and setting",
}
NUMBERS = ("train_accuracy", "test_accuracy", "final_cost", "share_at_target")


def update(store: Store, reference: str) -> None:
    """Write the views and descriptions for the results in the store; `reference` is an initializer's name."""
    results = store.search("results", "attributes.status = 'FINISHED'")
    if not results:
        return
    latest, last_step = names_of(results[0])[0], int(results[0].data.params["training.iterations"])
    initializers = list(dict.fromkeys(key.partition("/")[0] for run in results for key in run.data.metrics))
    initializers.sort(key=lambda name: name != reference)
    every = {
        "results": result_views(differing([run.data.params for run in results]), initializers[:MAX_INITIALIZERS]),
        "initializers": initializer_views(latest, reference),
        "models": model_views(latest, reference, last_step),
    }
    for level, views in every.items():
        save(store, level, views, description(level, views, store.ids))


def save(store: Store, level: str, views: Mapping[str, View], note: str) -> None:
    """Write the views of an experiment, and its description."""
    saved = {f"{PREFIX}{key}": state(view, SAVED + place) for place, (key, view) in enumerate(views.items())}
    kind = {"mlflow.experimentKind": "custom_model_development"}
    stores.set_experiment_tags(store, level, kind | {"mlflow.note.content": note} | saved)


def differing(params: Sequence[Mapping[str, str]]) -> list[str]:
    """The parameters in which results differ, numbers first; training.learning_rate if there are none."""
    keys = dict.fromkeys(key for each in params for key in each)
    found = [key for key in keys if len({each.get(key) for each in params}) > 1]
    numeric = [key for key in found if all(is_number(each.get(key, "0")) for each in params)]
    return (numeric + [key for key in found if key not in numeric])[:MAX_PARAMETERS] or ["training.learning_rate"]


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def result_views(params: Sequence[str], initializers: Sequence[str]) -> dict[str, View]:
    """The views of the results: a table, and charts of the share at target over the parameters that differ."""
    shares = [f"{name}/share_at_target" for name in initializers]
    charts = [scatter(params[0], share) for share in shares]
    charts += [scatter(param, shares[0]) for param in params[1:]]
    columns = [*(f"params.`{each}`" for each in params), *(f"metrics.`{each}`" for each in shares[:4])]
    return {
        "results": View("Table", "the parameters that differ, and the share of seeds at the target", "", columns),
        "chart": View("Charts", "the share of seeds at the target over a parameter", "", columns, charts=charts),
    }


def initializer_views(latest: str, reference: str) -> dict[str, View]:
    """The views of the initializers; `latest` is the name of the newest result."""
    columns = [*(f"metrics.`{key}`" for key in NUMBERS), "tags.`results`"]
    quartiles = ("cost_median", "cost_q25", "cost_q75")
    charts = [line("cost: median", ["cost_median"]), images("costs"), line("cost: quartiles", quartiles)]
    charts += [bar(key) for key in NUMBERS]
    of_reference = f'params.initializer = "{reference}"'
    every = View(f"{reference} in all results", f"all settings of {reference}", of_reference, columns, charts=charts)
    return {
        "latest": View("Latest result", "the newest result", contains(latest), columns, charts=charts),
        "reference": every,
        "initializers": View("Table", "all, the best first", "", columns, "metrics.`share_at_target`"),
    }


def model_views(latest: str, reference: str, last_step: int) -> dict[str, View]:
    """The views of the models; `latest` is the name of the newest result, `last_step` its number of iterations."""
    columns = [f"metrics.`{key}`" for key in ("train_accuracy", "test_accuracy", "final_cost")]
    columns += ["tags.`initial_label`", "tags.`results`"]
    charts = [line("cost", ["cost"]), images("boundary", last_step), line("first_gradient", ["first_gradient"])]
    charts += [bar(key) for key in ("train_accuracy", "test_accuracy", "final_cost")]
    full, best = "tags.detail = 'full'", "metrics.`train_accuracy`"
    of_latest = f"{full} and {contains(latest)}"
    failed = f'params.initializer = "{reference}" and metrics.train_accuracy < 0.9'
    return {
        "highlighted": View("Highlighted seed", "of the newest result", of_latest, columns, charts=charts),
        "full": View("Highlighted seeds", "the highlighted seeds of all results", full, columns, charts=charts),
        "failed": View(f"{reference} below 90 %", f"{reference} models below 90 %", failed, columns, best),
        "unstable": View(
            "Rising cost", "models whose cost rose by more than 1 %", "metrics.largest_rise > 0.01", columns
        ),
        "models": View("Table", "all models, the best first", "", columns, best),
    }


def page(experiment: str, key: str, has_charts: bool) -> str:
    """The URL of a view of an experiment, relative to the address of the server."""
    mode = "&compareRunsMode=CHART" if has_charts else ""
    return f"#/experiments/{experiment}/runs?viewStateShareKey={key}&workflowType=machine_learning{mode}"


def description(level: str, views: Mapping[str, View], ids: Mapping[str, str]) -> str:
    """The description of an experiment in Markdown. MLflow shows only the first line until it is expanded."""

    links = [f"[{view.name}]({page(ids[level], key, bool(view.charts))})" for key, view in views.items()]
    others = [f"[all {other}](#/experiments/{ids[other]}/runs)" for other in stores.LEVELS if other != level]
    filters = [view.filter.replace("|", ESCAPED) for view in views.values()]
    meanings = [view.meaning for view in views.values()]
    rows = [f"| {link} | {what} | `{text}` |" for link, what, text in zip(links, meanings, filters, strict=True)]
    if level == "models":
        others.append(f"[saved models](#/experiments/{ids[level]}/models?workflowType=machine_learning)")
    head = f"{TITLES[level]}: {' · '.join([*links, *others])}"
    return "\n".join([head, "", "| view | runs | filter |", "|---|---|---|", *rows])


# ---------------------------------------------------------------------------------------------------------------------
# The format of MLflow's page


SECTION = {
    "uuid": "comparison",
    "name": "Comparison",
    "display": True,
    "isReordered": False,
    "columns": 2,
    "cardHeight": 400,
}


def _chart(kind: str, name: str, **content: Any) -> Chart:
    common = {"type": kind, "uuid": f"{kind} {name}", "metricSectionId": SECTION["uuid"], "displayName": name}
    return {**common, "runsCountToCompare": 100, "deleted": False, "isGenerated": False, **content}


def line(name: str, keys: Sequence[str]) -> Chart:
    """Curves on a logarithmic scale."""
    scale = {"scaleType": "log", "xAxisScaleType": "linear", "xAxisKey": "step", "selectedXAxisMetricKey": ""}
    shape = {"range": {}, "lineSmoothness": 0, "yAxisKey": "metric", "yAxisExpressions": []}
    return _chart("LINE", name, **scale, **shape, metricKey=keys[0], selectedMetricKeys=list(keys))


def bar(key: str) -> Chart:
    """A bar for each run."""
    return _chart("BAR", key, metricKey=key)


def images(key: str, step: int = 0) -> Chart:
    """Images of each run at a step, with a slider over their steps."""
    return _chart("IMAGE", key, imageKeys=[key], step=step, showRunParams=False)


def scatter(param: str, metric: str) -> Chart:
    """A point for each run: a metric over a parameter."""
    axes: Chart = {"xaxis": {"key": param, "type": "PARAM"}, "yaxis": {"key": metric, "type": "METRIC"}}
    return _chart("SCATTER", f"{metric} over {param}", **axes)


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
        "runsHiddenMode": "FIRST_20_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    if view.charts:
        chosen |= {"compareRunSections": [SECTION], "compareRunCharts": list(view.charts)}
    packed = base64.b64encode(zlib.compress(json.dumps(chosen).encode())).decode()
    return json.dumps({"name": view.name, "createdAt": when, "updatedAt": when, "state": f"deflate;{packed}"})
