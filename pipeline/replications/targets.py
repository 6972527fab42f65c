"""Print the DVC stages of replications: `python -m pipeline.replications.targets --name NAMES --skip NAMES`.

`make replications` runs them. Both arguments are names separated by spaces or commas; without names all replications
are chosen.
"""

import argparse
from collections.abc import Sequence

from pipeline.config import yaml_file
from pipeline.errors import UserError
from pipeline.replications import paper
from pipeline.stages import run_and_exit

FILE = paper.FOLDER / "dvc.yaml"


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
        f"replications/{name}/replication.py to `deps` of the stage report."
    )


def separated(names: str) -> list[str]:
    """The names in a text in which spaces or commas separate them."""
    return names.replace(",", " ").split()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the stages on one line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.replications.targets", description="Print DVC stages.")
    parser.add_argument("--name", default="", help="names of folders in replications/; without: all")
    parser.add_argument("--skip", default="", help="names of those that are left out")
    given = parser.parse_args(arguments)
    run_and_exit(lambda: print(*targets(separated(given.name), separated(given.skip))))


if __name__ == "__main__":
    main()
