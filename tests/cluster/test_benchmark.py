"""The section "Growth" of docs/cluster.md: its text follows from its tables, and the computation on a worked example."""

import re

from benchmarks import cluster
from benchmarks.cluster import Duration, Overhead
from tests.clusters import ROOT

DOCS = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def rows(pattern: str) -> list[tuple[str, ...]]:
    """The columns that a pattern finds in the lines of the page, without commas in numbers."""
    return [found.groups() for line in DOCS.splitlines() if (found := re.fullmatch(pattern, line.replace(",", "")))]


def test_the_text_of_the_page_follows_from_its_tables() -> None:
    number = r"\| (\d+(?:\.\d+)?) "
    taken = [
        Duration(int(n), int(steps), *map(float, rest)) for n, steps, *rest in rows(number * 5 + r"\| \d+\.\d\d \|")
    ]
    spent = [Overhead(int(n), *map(float, rest)) for n, *rest in rows(number + (number + "ms ") * 3 + r"\|")]
    sizes = {name: float(size) for name, size in rows(r"\| the scheduler's network.*: (\w+) .* (\d+) kB per slice .*")}
    assert [each[:2] for each in taken] == list(cluster.CASES)
    assert tuple(each.models for each in spent) == cluster.SIZES
    assert list(sizes) == list(cluster.SAMPLES)
    assert f"<!-- from python -m benchmarks.cluster -->\n{cluster.section(taken, spent, sizes)}\n<!-- end -->" in DOCS


def test_a_worked_example() -> None:
    """A slice takes 2 ms in the scheduler and 1 ms in the client; its 100 kB take .8 ms at 125 MB/s, 1 MB 8 ms."""
    taken = [Duration(1000, 300, 0.8, 1.0, 0.5), Duration(100, 15_000, 4.0, 4.0, 2.5)]  # 40 ms per model
    spent = [Overhead(1, 1.0, 2.0, 3.0), Overhead(50, 1.0, 2.0, 3.0)]
    lines = cluster.section(taken, spent, {"circles": 100.0, "digits": 1000.0}).splitlines()
    assert [line for line in lines if re.match(r"\| \d", line)] == [
        "| 1,000 | 300 | 0.80 | 1.00 | 0.50 | 2.00 |",
        "| 100 | 15,000 | 4.00 | 4.00 | 2.50 | 1.60 |",
        "| 1 | 1.0 ms | 2.0 ms | 3.0 ms |",
        "| 50 | 1.0 ms | 2.0 ms | 3.0 ms |",
    ]
    # 4,000 slices; a slice of each of 1,000 workers must last 1,000 times what passes one slice
    assert [line for line in lines if line.startswith(("| the", "| `dvc"))] == [
        "| the scheduler's processor, one core: 2.0 ms per slice | 8.0 s | 2.0 s |",
        "| `dvc repro`, one core: 1.0 ms per slice | 4.0 s | 1.0 s |",
        "| the scheduler's network, 1 Gbit/s: circles, 300 samples, 100 kB per slice | 3.2 s | 0.8 s |",
        "| the scheduler's network, 1 Gbit/s: digits, 1,400 samples, 1000 kB per slice | 32.0 s | 8.0 s |",
    ]
    text = " ".join(lines)
    assert "One worker takes 1.00 to 1.25 times as long as a thread, and two are 1.60 to 2.00 times as fast" in text
    assert (
        "What saturates first is the scheduler's processor with the circles and the scheduler's network with the digits"
        in text
    )
    # 2 s are 50 models; with w workers slices of 100 / (4 w) models last 1 s / w, which is 2 ms * w for w = 22.4
    assert "with 15,000 steps takes 40 ms, so 1,000 workers need 200,000 seeds of one initializer" in text
    assert "the 100 seeds of `params.yaml` suffice for 22 workers" in text
    assert text.endswith("400 MB of the circles and 4,000 MB of the digits.")
