"""Stage `generate`: draw the training and the test set, write them as CSV, and draw their figure."""

import sys

from pipeline import figures, params, storage
from pipeline.datasets import DATASETS


def generate() -> None:
    """Write data/train.csv, data/test.csv and reports/figures/data.png."""
    data = params.load().data
    split = DATASETS[data.name].split
    train, test = split(data.n_train, data.n_test, data.noise, data.train_seed, data.test_seed)
    storage.write_samples(storage.DATA / "train.csv", *train)
    storage.write_samples(storage.DATA / "test.csv", *test)
    storage.write_bytes(storage.FIGURES / "data.png", figures.png(figures.data(train, test)))


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(generate))
