"""The images of runs: the costs of an initializer, and decision boundaries.

Boundaries are drawn without Matplotlib, which takes 0.2 s for each.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline.analysis import comparison, published_results
from pipeline.config import schema
from pipeline.figures import style, training_figures
from pipeline.figures.data_figures import CLASSES, REGIONS
from pipeline.figures.plane import extent, square
from pipeline.networks import reference
from pipeline.networks.parameters import Parameters, take
from pipeline.numerics.sums import Array
from pipeline.storage import jobs, resolved, trained

GRID = 121  # grid points along a side, at which the network is evaluated
SIDE = 3 * GRID  # pixels
FINE = 4  # samples are drawn larger by this factor, then reduced, for smooth edges
RADIUS = 4.5  # of a sample, in pixels


def markers(X: Array, Y: Array) -> Image.Image:
    """The samples, X (2, m) and Y (1, m), on a transparent ground, to be drawn over the image of a model.

    The image shows the square of half side `extent(X)`.
    """
    half = extent(X)
    image = Image.new("RGBA", (SIDE * FINE, SIDE * FINE))
    draw = ImageDraw.Draw(image)
    middle, radius = (SIDE * FINE - 1) / 2, RADIUS * FINE
    for x1, x2, label in zip(*X, Y[0], strict=True):
        x, y = middle * (1.0 + x1 / half), middle * (1.0 - x2 / half)
        marker, colour = CLASSES[int(label) % len(CLASSES)]
        shape = draw.ellipse if marker == "o" else draw.rectangle
        r = radius if marker == "o" else 0.85 * radius
        shape((x - r, y - r, x + r, y + r), fill=colour, outline="black", width=FINE)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def boundary(probability: Array, over: Image.Image) -> Image.Image:
    """The image of the predicted class, with the image `over`; `probability` (GRID^2,) is that of class 1 at `square`.

    White where the probability is NaN: the model diverged.
    """
    rows = probability.reshape(GRID, GRID)[::-1].astype(np.float32)
    smooth = np.asarray(Image.fromarray(rows).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    side = smooth > 0.5
    edge = np.zeros_like(side)
    edge[1:] |= side[1:] != side[:-1]
    edge[:, 1:] |= side[:, 1:] != side[:, :-1]
    region = np.where(np.isnan(smooth), np.uint8(3), side.astype(np.uint8))
    numbers = Image.fromarray(np.where(edge & ~np.isnan(smooth), np.uint8(2), region), mode="P")
    numbers.putpalette(bytes.fromhex("".join((*REGIONS, "#000000", "#ffffff")).replace("#", "")))
    image = numbers.convert("RGB")
    image.paste(over, mask=over)
    return image


def costs(P: schema.Params, name: str, band: pd.DataFrame) -> Image.Image:
    """The figure of the median cost of an initializer, with the middle half of the seeds as a band."""
    columns = trained.read_costs(name, P.seeds, jobs.read_training_job().record_at)
    published = published_results.published(P, resolved.training_set(P.data)[0]).costs
    curves, shown = comparison.curves_table({name: columns}), P.comparison.highlight_seed
    return style.image(training_figures.cost_curves(band, curves, published, shown))


def boundaries(P: schema.Params, name: str, seed: int, model: Parameters) -> Iterator[tuple[str, int, Image.Image]]:
    """The decision boundary after training; of the highlighted seed also after 0, 1, 10, 100, ... iterations.

    Yields the name, the iteration and the image; nothing if the data have other than two features.
    """
    if P.data.n_inputs != 2:
        return
    X, Y = resolved.training_set(P.data)
    over, points = markers(X, Y), square(extent(X), GRID)
    training = jobs.read_training_job()
    kept = {}
    if seed == P.comparison.highlight_seed:
        when = training.snapshots_at
        snapshots = zip(when.tolist(), trained.read_snapshots(name, when, P.layers_dims), strict=True)
        kept = {step: take(pair, [0]) for step, pair in snapshots if str(step).strip("0") in ("", "1")}
    for step, each in (kept | {training.iterations: model}).items():
        yield "boundary", step, boundary(reference.predict(each, points, P.network.activations).ravel(), over)
