"""Stage `dataset`: draw the training and the test set, write them as CSV, and draw their figure."""

from pipeline.config import params
from pipeline.datasets import DATASETS
from pipeline.figures import data_figures, style
from pipeline.stages import progress
from pipeline.storage import atomic_files, reports, samples


def dataset() -> None:
    """Write data/train.csv, data/test.csv and reports/figures/data.png."""
    data = params.load().data
    split = DATASETS[data.name].split
    description = f"Drawing the data set {data.name}: {data.n_train:,} training and {data.n_test:,} test samples."
    with progress.task(description):
        train, test = split(data.n_train, data.n_test, data.noise, data.train_seed, data.test_seed)
        samples.write_samples(samples.DATA / "train.csv", *train)
        samples.write_samples(samples.DATA / "test.csv", *test)
        atomic_files.write_bytes(reports.FIGURES / "data.png", style.png(data_figures.data(train, test)))


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(dataset)
