"""Numbers as text for reports."""

import math
from typing import Any

import pandas as pd


def format_percent(share: Any) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def format_share(share: float) -> str:
    return f"{100 * share:g} %"


def format_interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{format_percent(low)} to {format_percent(high)}"


def format_points(difference: float) -> str:
    return "–" if math.isnan(difference) else f"{100 * difference:+.1f}".replace("-", "−")


def format_cost(cost: float) -> str:
    return "–" if math.isnan(cost) else f"{cost:.4g}"


def format_count(iterations: Any) -> str:
    return "–" if pd.isna(iterations) else f"{iterations:,.0f}"


def format_p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def format_number(value: float) -> str:
    """Three significant digits, or a whole number from 1,000 to 99,999."""
    if math.isnan(value):
        return "–"
    text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e5 else f"{value:.3g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")
