"""Stage `page`: write the interactive page reports/laboratory.html.

It reads the tables of reports/ and the final weights in runs/, and trains nothing.
"""

import sys

from pipeline.analysis import published_results
from pipeline.config import params
from pipeline.page import page
from pipeline.page.content import content
from pipeline.storage import atomic_files, reports, samples, trained


def write_page() -> None:
    """Write reports/laboratory.html. Raises UserError."""
    P = params.load()
    sizes = P.data.n_inputs, P.data.n_classes
    train = samples.read_samples(samples.DATA / "train.csv", P.data.n_train, *sizes)
    test = samples.read_samples(samples.DATA / "test.csv", P.data.n_test, *sizes)
    final = {name: trained.read_final_weights(name, P.seeds, P.layers_dims) for name in P.initializers}
    tables = {
        name: atomic_files.read_table(reports.REPORTS / f"{name}.csv")
        for name in ("runs", "cost_curves", "initialization")
    }
    shown = content(
        P,
        train,
        test,
        final,
        tables["runs"],
        tables["cost_curves"],
        tables["initialization"],
        published_results.published(P, train[0]),
    )
    atomic_files.write_text(reports.REPORTS / "laboratory.html", page.html(shown))


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(write_page))
