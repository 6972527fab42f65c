"""How much memory models take, against worked examples, and the error where it is not there."""

import os

import pytest

from pipeline.training import memory


def test_the_size_of_a_model() -> None:
    # 2 -> 4 -> 3 -> 1: (2 + 1) 4 + (4 + 1) 3 + (3 + 1) 1 = 31 numbers of 8 bytes
    assert memory.model_size([2, 4, 3, 1]) == 31 * 8
    assert memory.model_size((10, 1)) == 11 * 8


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0.0, "0 B"),
        (1023.0, "1.02e+03 B"),
        (1024.0, "1 KiB"),
        (1.5 * 2**20, "1.5 MiB"),
        (11.9 * 2**30, "11.9 GiB"),
        (2.0**60, "1.05e+06 TiB"),
    ],
)
def test_a_size_is_shown_in_its_largest_unit(size: float, expected: str) -> None:
    assert memory.format_bytes(size) == expected


def test_models_that_do_not_fit_raise_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are held twice: two models of 248 bytes need 992 bytes."""
    pages = {"SC_PAGE_SIZE": 16, "SC_PHYS_PAGES": 62}  # 992 bytes
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    memory.require_memory([2, 4, 3, 1], 2)
    pages["SC_PHYS_PAGES"] = 61
    expected = r"^at least 992 B are needed, and this computer has 976 B: the weights of one model take 248 B$"
    with pytest.raises(MemoryError, match=expected):
        memory.require_memory([2, 4, 3, 1], 2)
    memory.require_memory([2, 4, 3, 1], 1)


def test_a_worker_has_memory_of_its_own() -> None:
    memory.require_memory([2, 4, 3, 1], 1, 496.0, "a thread of the cluster")
    expected = (
        r"^at least 496 B are needed, and a thread of the cluster has 495 B: the weights of one model take 248 B$"
    )
    with pytest.raises(MemoryError, match=expected):
        memory.require_memory([2, 4, 3, 1], 1, 495.0, "a thread of the cluster")


def test_where_the_memory_is_unknown_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    memory.require_memory([10**6] * 4, 100)
