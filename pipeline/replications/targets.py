"""The DVC stages of replications, and the digests of code on which they depend.

`python -m pipeline.replications.targets --name NAMES --skip NAMES` prints the stages that `make replications` runs.
Both arguments are names separated by spaces or commas; without names all replications are chosen.

With `--digests` it is the stage `code`, which writes replications/code/NAME.sha256 for each replication and the report.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import yaml_file
from pipeline.errors import UserError
from pipeline.numerics import sources
from pipeline.replications import paper
from pipeline.stages import run_and_exit
from pipeline.storage import atomic_files

FILE = paper.FOLDER / "dvc.yaml"
CODE = paper.FOLDER / "code"  # only DVC reads these digests, as dependencies
PRINTING = ("stages/__init__.py", "stages/progress.py")  # modules on which no result depends


def targets(chosen: Sequence[str], skipped: Sequence[str]) -> list[str]:
    """The stages of the replications `chosen`, or of all, without those of `skipped`. Raises UserError."""
    for name in (*chosen, *skipped):
        paper.check_name(name)
    left = [name for name in chosen or paper.names() if name not in skipped]
    if not left:
        raise UserError(f"SKIP={' '.join(skipped)} leaves no replication to run; name fewer.")
    return [stage(name) for name in left]


def stage(name: str) -> str:
    """The DVC target of a replication. Raises UserError if replications/dvc.yaml has no stage for it."""
    stages = yaml_file.read(FILE)["stages"]
    if name in stages["replicate"]["foreach"]:
        return f"{FILE.as_posix()}:replicate@{name}"
    if name in stages:
        return f"{FILE.as_posix()}:{name}"
    raise UserError(
        f"{FILE.as_posix()} has no stage for replications/{name}; add {name} to `foreach` of the stage replicate, and "
        f"replications/{name}/replication.py to `deps` of the stage code."
    )


def separated(names: str) -> list[str]:
    """The names in a text in which spaces or commas separate them. Raises UserError if it has only commas."""
    found = names.replace(",", " ").split()
    if names.strip() and not found:
        raise UserError(f"{names!r} has no name of a replication; there are {', '.join(paper.names())}.")
    return found


def code_of(module: str) -> set[Path]:
    """The source files of the package that a module imports, directly or indirectly, with its own, without PRINTING.

    Raises ModuleNotFoundError, SyntaxError or ValueError.
    """
    return sources.import_closure(module) - {sources.PACKAGE / name for name in PRINTING}


def code_of_replication(name: str) -> set[Path]:
    """The source files of the package on which the results of a replication depend.

    A module of its folder that cannot be parsed imports nothing: the stage of the replication reports what is wrong.
    """
    code = code_of("pipeline.replications.run")
    for path in modules(name):
        try:
            code |= code_of(".".join(path.with_suffix("").parts))
        except (ImportError, SyntaxError, ValueError):
            continue
    return {path for path in code if path.is_relative_to(sources.PACKAGE)}


def modules(name: str) -> list[Path]:
    """The modules in a replication's folder, in alphabetical order."""
    return sorted((paper.FOLDER / name).glob("*.py"))


def digest_of(name: str) -> str:
    """The SHA-256, in hexadecimal, of the code of a replication, with the modules in its folder."""
    found = hashlib.sha256(sources.digest(code_of_replication(name)).encode())
    for path in modules(name):
        found.update(path.name.encode() + b"\0" + atomic_files.read_bytes(path) + b"\0")
    return found.hexdigest()


def write_digests() -> None:
    """Write the digest of each replication and of the report, and delete those of other names. Raises FileError."""
    digests = {name: digest_of(name) for name in paper.names()}
    digests["report"] = sources.digest(code_of("pipeline.replications.report"))
    for name, digest in digests.items():
        atomic_files.write_text(CODE / f"{name}.sha256", f"{digest}\n")
    for path in CODE.glob("*.sha256"):
        if path.stem not in digests:
            path.unlink()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the stages on one line, or write the digests."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.replications.targets", description="DVC stages of replications."
    )
    parser.add_argument("--name", default="", help="names of folders in replications/; without: all")
    parser.add_argument("--skip", default="", help="names of those that are left out")
    parser.add_argument("--digests", action="store_true", help="write replications/code/ and print nothing")
    given = parser.parse_args(arguments)
    if given.digests:
        run_and_exit(write_digests)
    run_and_exit(lambda: print(*targets(separated(given.name), separated(given.skip))))


if __name__ == "__main__":
    main()
