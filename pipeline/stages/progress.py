"""What a stage prints on stderr: a line of what it does, its progress, and a line of how long it took.

No result depends on this module, so no stage that trains runs again when it changes (see `storage.resolved`).
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

DELAY = 2.0  # seconds after which the bar appears on a terminal
INTERVAL = 10.0  # seconds between the lines of progress in a log

Advance = Callable[[int], object]


@contextlib.contextmanager
def task(description: str, total: int = 1, unit: str = "step") -> Iterator[Advance]:
    """Report a block of work of `total` units, such as models; yields a function to call with the number finished.

    A terminal shows a progress bar after DELAY seconds, any other stream a line at most every INTERVAL seconds. The
    duration is printed only if the block ends without an exception.
    """
    start = time.monotonic()
    _print(description)
    if sys.stderr.isatty():
        from tqdm import tqdm  # not imported where there is no bar

        tqdm.set_lock(threading.RLock())  # its own lock is for several processes; in Python 3.14 it starts one
        with tqdm(total=total, unit=unit, delay=DELAY, leave=False) as bar:
            yield bar.update
    else:
        yield _lines(total, unit, start)
    _print(f"Finished in {time.monotonic() - start:.1f} s.")


def _lines(total: int, unit: str, start: float) -> Advance:
    """A function that prints the number of finished units and the seconds since `start`, at most every INTERVAL."""
    finished, due = 0, start + INTERVAL

    def advance(n: int) -> None:
        nonlocal finished, due
        finished += n
        now = time.monotonic()
        if now >= due and finished < total:
            due = now + INTERVAL
            _print(f"{finished:,} of {count(total, unit)}, {now - start:.0f} s")

    return advance


def count(n: int, unit: str) -> str:
    """1 model, 1,000 models."""
    return f"{n:,} {unit}" if n == 1 else f"{n:,} {unit}s"


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
