"""Style shared by all figures: colours, panels, legends, logarithmic axes, and output as PNG."""

import functools
import io
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedFormatter, FixedLocator
from numpy.typing import ArrayLike
from PIL import Image

from pipeline.numerics.sums import Array

P = ParamSpec("P")
Layout = Literal["constrained", "compressed"]  # compressed: for panels of equal aspect
STYLE = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.06,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
PANELS = 4  # per row
COLUMN = 2.6  # inches, the width of a column of panels
LEGEND_COLUMN = 2.05  # inches
TITLE_WIDTH = 2.0  # inches, of a panel's title
TITLE_SIZES = (10.0, 7.5)  # points: of a title of one line, and of one of more
LABEL_WIDTH = 1.7  # inches, of an initializer's name beside its row
NOTE = 7.5  # points, the size of a text that belongs to a panel
LINE = 10.0  # points, the height of a line of it
DARK, LIGHT = "#1b4965", "#f2a65a"  # of class 0 and class 1: far apart in brightness as well
COST_TOP = 10.0  # nats: where the common axis of the costs ends
TICKS = 7  # labels on a logarithmic axis, at most
LIGHTEST, MIDDLE, ACCENT = "#e6e6e6", "#bcbcbc", "#b3261e"


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A decorator that draws in STYLE over matplotlib's defaults, whatever the user's settings are."""

    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return drawn


def png(figure: Figure) -> bytes:
    """The figure as PNG without date and version, so that equal figures have equal bytes."""
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", STYLE]):
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def image(figure: Figure) -> Image.Image:
    """The pixels that `png` would store, which takes a third less time."""
    canvas: Any = FigureCanvasAgg(figure)
    with matplotlib.style.context(["default", STYLE]):
        canvas.draw()
    return Image.fromarray(np.array(canvas.buffer_rgba()))


def number(value: float) -> str:
    """4,773, 0.693, 1.8e20: two or three significant digits, or a whole number below 100,000."""
    if 1e3 <= abs(value) < 99999.5:
        return f"{value:,.0f}"
    text = f"{value:.3g}" if 1e-4 <= abs(value) < 1e3 or value == 0 else f"{value:.1e}".replace(".0e", "e")
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


@functools.lru_cache(10_000)
def _points(text: str, size: float, weight: str) -> float:
    """The width of a line of text."""
    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), False)[0])


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> str:
    """`text` in lines of at most `width` inches at `size` points, broken after an underscore or space if possible."""
    lines: list[str] = []
    line = ""
    for letter in text:
        if line and _points(line + letter, size, weight) > 72.0 * width:
            cut = max(line.rfind("_"), line.rfind(" ")) + 1
            cut = cut if 2 * cut > len(line) else len(line)
            lines.append(line[:cut].rstrip())
            line = line[cut:]
        line += letter
    return "\n".join([*lines, line])


def subtitles(panels: Sequence[Axes], texts: Sequence[Sequence[str]]) -> None:
    """Write lines of text between the title and the axes of each panel, and increase the figure height accordingly."""
    n_lines = max(map(len, texts))
    if not n_lines:
        return
    figure = panels[0].get_figure()
    grid = panels[0].get_gridspec()
    assert isinstance(figure, Figure)
    assert grid is not None
    figure.set_figheight(figure.get_figheight() + LINE * n_lines * grid.nrows / 72.0)
    for ax, lines in zip(panels, texts, strict=True):
        title = ax.get_title(loc="left")
        ax.set_title(title, fontsize=TITLE_SIZES["\n" in title], pad=6.0 + LINE * n_lines)
        if lines:
            text = ax.annotate("\n".join(lines), (0.0, 1.0), (0.0, 4.0), "axes fraction", "offset points")
            text.set(fontsize=NOTE, verticalalignment="bottom")


class LogScale(NamedTuple):
    """A logarithmic axis with a separate line for 0 below it."""

    bottom: float  # smaller values are drawn here
    top: float
    zero: float  # where 0 is drawn; nan if no value is 0
    ticks: Sequence[float]
    labels: Sequence[str]

    def place(self, values: ArrayLike) -> Array:
        """Where `values` are drawn: 0 on the line of 0, smaller ones at the bottom, nan where they are not finite."""
        given = np.asarray(values, dtype=np.float64)
        placed = np.where(np.isfinite(given), np.maximum(given, self.bottom), np.nan)
        return np.where(given == 0.0, self.zero, placed)

    def apply(self, ax: Axes) -> None:
        """Give the vertical axis of `ax` this scale, and `ax` a line where 0 is."""
        lowest = self.bottom if math.isnan(self.zero) else self.zero * math.sqrt(self.zero / self.bottom)
        ax.set_ylim(lowest, self.top)  # before the scale, which would look for limits of its own
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(FixedLocator(self.ticks))
        ax.yaxis.set_major_formatter(FixedFormatter(self.labels))
        ax.yaxis.minorticks_off()
        if not math.isnan(self.zero):
            ax.axhline(self.zero, color="black", linewidth=0.6, zorder=1)


def log_scale(values: Iterable[ArrayLike], least: float, low: float, high: float, room: float = 1.25) -> LogScale:
    """A logarithmic axis that contains all finite non-negative `values` and the range from `low` to `high`.

    Values below `least` are drawn at `least`, whose label is then "≤"; the margins are factors of `room`.
    """
    found = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in values])
    found = found[np.isfinite(found) & (found >= 0.0)]
    positive = found[found > 0.0]
    smallest, largest = min([low, *positive.tolist()]), max([high, *positive.tolist()])
    clipped = smallest < least
    bottom = least if clipped else smallest / room
    top = min(max(largest, bottom), 1e307) * room
    first, last = math.ceil(math.log10(bottom) - 1e-9), math.floor(math.log10(top) + 1e-9)
    if last - first < 1:  # a single decade or none: two of them give the axis its numbers
        first, last = math.floor(math.log10(bottom)), math.ceil(math.log10(top))
        bottom, top = min(bottom, 10.0**first), max(top, 10.0**last)
    step = -(-(last - first + 1) // TICKS)
    decades = range(first, last + 1, step) if clipped else [d for d in range(first, last + 1) if d % step == 0]
    plain = -4 <= first and last <= 4
    labels = [f"{10.0**decade:g}" if plain else f"$10^{{{decade}}}$" for decade in decades]
    ticks = [10.0**decade for decade in decades]
    if clipped:
        labels[0] = f"≤ {labels[0]}" if plain else rf"$\leq 10^{{{first}}}$"
    zero = math.nan
    if len(positive) < len(found):
        zero = 10.0 ** (1.125 * math.log10(bottom) - 0.125 * math.log10(top))  # an eighth of the axis below it
        ticks, labels = [zero, *ticks], ["0", *labels]
    return LogScale(bottom, top, zero, ticks, labels)


def small_multiples(names: Sequence[str], layout: Layout, *, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure of one panel for each of `names`, its title, in rows of PANELS of `height` inches.

    The last row may be shorter; the panels above its gaps have labels on their horizontal axis as well.
    """
    n = len(names)
    n_columns = min(n, PANELS)
    n_rows = math.ceil(n / n_columns)
    width = max(4.0, COLUMN * n_columns)
    bold = [wrapped(name, TITLE_WIDTH, TITLE_SIZES[0], "bold") for name in names]
    small = [wrapped(name, TITLE_WIDTH, TITLE_SIZES[1], "bold") for name in names]
    titles = [  # of more than one line in the smaller size
        two if one != name and "\n" in two else one for name, one, two in zip(names, bold, small, strict=True)
    ]
    n_lines = max(title.count("\n") for title in titles)
    figure = Figure(figsize=(width, (height + 0.14 * n_lines) * n_rows + 0.7), layout=layout)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, **shared)
    panels = grid.ravel().tolist()
    for empty in panels[n:]:
        empty.set_visible(False)
    for ax in panels[max(0, n - n_columns) : n]:
        ax.tick_params(labelbottom=True)
    for ax, title in zip(panels[:n], titles, strict=True):
        ax.set_title(title, fontsize=TITLE_SIZES["\n" in title])
    return figure, panels[:n]


def outer_labels(panels: Sequence[Axes], x: str, y: str) -> None:
    """Label the horizontal axes with no panel of `small_multiples` below them, and the vertical ones at the left."""
    n_columns = min(len(panels), PANELS)
    for place, ax in enumerate(panels):
        is_first, is_lowest = place % n_columns == 0, place + n_columns >= len(panels)
        ax.set(xlabel=x if is_lowest else "", ylabel=y if is_first else "")
        ax.tick_params(labelbottom=is_lowest, labelleft=is_first)


def legend_above(figure: Figure, handles: Sequence[Artist], title: str = "") -> None:
    """A legend above all panels, with as many columns as fit; the figure height increases with its lines."""
    columns = max(1, min(len(handles), int(figure.get_figwidth() / LEGEND_COLUMN)))
    title = wrapped(title, figure.get_figwidth() - 0.3, 9.0)
    n_lines = -(-len(handles) // columns) + (title.count("\n") + 1 if title else 0)
    figure.set_figheight(figure.get_figheight() + 0.19 * (n_lines - 1))
    figure.legend(handles=handles, title=title, loc="outside upper center", ncols=columns)


def _heading(figure: Figure, text: str) -> None:
    """A line of text above all panels; the figure height increases accordingly."""
    lines = wrapped(text, figure.get_figwidth() - 0.2, 10.0)
    figure.set_figheight(figure.get_figheight() + 0.2 * (1 + lines.count("\n")))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=10)
