"""One module per DVC stage: its command line, the files that it reads and writes, and calls."""

import gc
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from pipeline.errors import exit_code

# Before NumPy is imported: singular values of small matrices gain nothing from threads of BLAS, which compete with ours
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if sys.argv[0] == "-m":  # Python imports this package to find the stage that it is to run
    gc.disable()  # until the modules are imported: they make half a million objects, of which none becomes garbage


def run(work: Callable[[], None]) -> int:
    """Do the work of a stage and return its exit code: 1 with a message on stderr for what the user can correct."""
    try:
        return exit_code(work)
    except MemoryError as error:
        advice = "choose smaller network.hidden_sizes or fewer seeds"
        print(f"Out of memory ({str(error) or 'no details are known'}); {advice}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; no partial files were written.", file=sys.stderr, flush=True)
        os._exit(130)  # at once: a thread may be compiling, and no thread writes files


def run_and_exit(work: Callable[[], None]) -> NoReturn:
    """Run the function of a stage, then end the process with the exit code of `run`; never returns."""
    gc.freeze()  # the imported objects are not searched for garbage
    gc.enable()
    code = run(work)
    gc.disable()  # nor are others at exit
    gc.freeze()
    sys.exit(code)
