"""Other processors, which environment variables of Numba, OpenBLAS, NumPy and the C library imitate.

`make processors` runs every paper of replications/ under each of them and compares what it writes with the committed
files: rows, tables and figure byte for byte, and the tables from which the figure is drawn with those computed on this
processor without imitation. `python -m tests.processors saxe_2013` runs one of them. One line is printed for each paper
and processor; the exit code is 1 if a byte differs. If committed files differ and are of other settings or code, the
line says so, and processors are compared with this one.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding

from pipeline.errors import UserError
from pipeline.replications import paper, run, targets
from tests import small_papers

ROOT = Path(__file__).parents[1]
HOST = llvmlite.binding.get_host_cpu_features()

# For which processors Numba compiles beside the host itself: generic, which has no SSE4 and no AVX, and where the host
# has AVX-512 a processor without it.
NAMES = ["generic", *(["haswell"] if platform.machine() == "x86_64" and HOST.get("avx512f") else [])]
IMITATIONS = {
    "openblas_nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "openblas_haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "c_library_without_avx": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"},  # sin, cos, log, exp
    "numpy_baseline": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX AVX512_ICL AVX512_SPR X86_V3 X86_V4"},
    "numpy_without_avx512": {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX AVX512_ICL AVX512_SPR X86_V4"},
}
OLD = ("openblas_nehalem", "c_library_without_avx", "numpy_baseline")  # together what an old processor does
LIBRARIES = {"generic": OLD, "haswell": ("openblas_haswell", "numpy_without_avx512")}  # beside the processors of NAMES
HERE = "this processor"
NUMBERS = "numbers of the figure"

# Papers that would take too long in full where vectors are short: less of them, compared with the same on this processor
REDUCED: dict[str, dict[str, Any]] = {
    "phase_diagram": {
        "seeds": [0, 1],
        "replication": {"sigma_w2": {"n": 6}, "sigma_b2": {"n": 4}, "depth_panel": {"depths": [10, 40], "n_seeds": 1}},
    },
}


def imitated(names: Sequence[str]) -> dict[str, str]:
    """The environment variables of some of IMITATIONS."""
    return {key: value for name in names for key, value in IMITATIONS[name].items()}


def compiled_for(name: str) -> dict[str, str]:
    """The environment variables with which Numba compiles for a processor of NAMES."""
    return {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ""}


def output(script: str, folder: Path, **environment: str) -> str:
    """What a script prints in a process of its own, which finds only the compiled functions below `folder`.

    They are kept there as in a repository in which DVC was called.
    """
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "OPENBLAS_", "NPY_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=ROOT,
        env=ours | {"DVC_ROOT": str(folder)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------------------------------------------------------------
# The papers


def digest(content: bytes) -> str:
    """The first 64 bits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def digests_of(name: str) -> dict[str, str]:
    """The digests of the files that a paper writes, by their names, and of the numbers from which its figure is drawn."""
    loaded = small_papers.changed(name, REDUCED.get(name, {}))
    found = paper.measure(loaded, lambda n: None)
    tables = {name: paper.rows(loaded, found.measurements)}
    tables |= {f"{name}_{each}": found.tables[each] for each in getattr(loaded.module, "TABLES", ())}
    files = {f"{each}.csv": table.to_csv(index=False, lineterminator="\n") for each, table in tables.items()}
    return {
        **{file: digest(text.encode()) for file, text in files.items()},
        f"{name}.png": digest(paper.draw(loaded, found.tables)),
        NUMBERS: small_papers.digest(found),
    }


def committed(name: str) -> dict[str, str]:
    """The digests of the files of a paper in reports/replications; none if the paper is in REDUCED."""
    files = [] if name in REDUCED else [*run.RESULTS.glob(f"{name}.[cp]*"), *run.RESULTS.glob(f"{name}_*.csv")]
    return {path.name: digest(path.read_bytes()) for path in sorted(files)}


def changed(name: str) -> list[str]:
    """The files and folders on which the results of a paper depend that differ from those of the committed results."""
    command = [sys.executable, "-m", "dvc", "status", "--json", targets.stage(name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    changes = [each for stage in json.loads(done.stdout).values() for each in stage if isinstance(each, dict)]
    code = (ROOT / targets.CODE / f"{name}.sha256").read_text().strip() != targets.digest_of(name)
    return [*(["code"] if code else []), *(path for each in changes for path in each.get("changed deps", {}))]


def digests_under(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """`digests_of(name)` in a process with these environment variables."""
    script = f"import json; from tests import processors; print(json.dumps(processors.digests_of({name!r})))"
    found: dict[str, str] = json.loads(output(script, ROOT, **environment))
    return found


def compared(name: str) -> Iterator[tuple[str, list[str]]]:
    """A line for each processor, and the names of the files of a paper that differ there."""
    known = committed(name)
    share = "a part of it" if name in REDUCED else "in full"
    for processor in (HERE, *NAMES):
        environment = {} if processor == HERE else compiled_for(processor) | imitated(LIBRARIES[processor])
        start = time.monotonic()
        found = digests_under(name, environment)
        different = [file for file in known if found.get(file) != known[file]]
        verdict = f"DIFFERENT: {', '.join(different)}" if different else f"equal: {', '.join(known)}"
        verdict = verdict if known else "measured"
        if different and processor == HERE and (others := changed(name)):
            verdict = f"not compared: the committed results are of another {', '.join(others)}"
            verdict += f"; `make replications NAME={name}` makes those of the present one"
            known = {}
        yield f"{name} ({share}), {processor}: {verdict} ({time.monotonic() - start:.0f} s)", different
        known = {**found, **known}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the papers that the command line names, or all, under each processor; exit code 1 if a byte differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.processors", description="Compare imitated processors.")
    parser.add_argument("names", nargs="*", help="folders of replications/; without: all")
    names = parser.parse_args(arguments).names
    os.chdir(ROOT)
    try:
        for name in names:
            paper.check_name(name)
    except UserError as error:
        parser.error(str(error))
    failed = False
    for name in names or paper.names():
        for line, different in compared(name):
            print(line, flush=True)
            failed |= bool(different)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
