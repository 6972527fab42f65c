"""One module for each DVC stage: arguments, files, calls."""

import os
import sys
from collections.abc import Callable

from pipeline.wording import UserError


def run(work: Callable[[], None]) -> int:
    """Do the work of a stage; what the user got wrong becomes a sentence on stderr and exit code 1."""
    try:
        work()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing half-written was left.", file=sys.stderr, flush=True)
        os._exit(130)  # at once: a thread may be compiling, and no thread writes files
    return 0
