"""Stage `page`: write the interactive page reports/laboratory.html.

It reads the tables of reports/ and the final weights in runs/, and trains nothing.
"""

from typing import Any

from pipeline.analysis import published_results
from pipeline.config import params, schema
from pipeline.page import page
from pipeline.page.content import content
from pipeline.stages import progress
from pipeline.storage import atomic_files, reports, resolved, trained


def write_page() -> None:
    """Write reports/laboratory.html. Raises UserError."""
    P = params.load()
    models = progress.count(len(P.initializers) * len(P.seeds), "model")
    with progress.task(f"Writing the interactive page of {models}."):
        atomic_files.write_text(reports.REPORTS / "laboratory.html", page.html(read_content(P)))


def read_content(P: schema.Params) -> dict[str, Any]:
    """The content of the page, from data/, runs/ and the tables of reports/. Raises FileError."""
    train, test = resolved.training_set(P.data), resolved.test_set(P.data)
    final = {name: trained.read_final_weights(name, P.seeds, P.layers_dims) for name in P.initializers}
    runs, curves, initialization = (
        atomic_files.read_table(reports.REPORTS / f"{name}.csv") for name in ("runs", "cost_curves", "initialization")
    )
    published = published_results.published(P, train[0])
    return content(P, train, test, final, runs, curves, initialization, published)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(write_page)
