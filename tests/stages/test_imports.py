"""Which large packages the process of each stage imports: each takes a fraction of a second, for every stage."""

import re
import subprocess
import sys
from itertools import chain, pairwise
from pathlib import Path

import pytest

from tests.marks import slow

STAGES = Path(__file__).parents[2] / "pipeline" / "stages"
LARGE = {
    "asyncio",
    "dvc",
    "joblib",
    "matplotlib",
    "mlflow",
    "numba",
    "pandas",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "tqdm",
}
LARGE |= {"dask", "distributed", "llvmlite", "pydantic"}
FOR_PARAMS = {"pydantic"}  # params.yaml is checked
FOR_LOOPS = {"llvmlite"}  # compiled code is loaded
ALLOWED = {
    "dataset": FOR_PARAMS | {"matplotlib"},
    "resolve": FOR_PARAMS | FOR_LOOPS,
    "train": FOR_LOOPS,
    "trajectories": FOR_LOOPS,
    "diagnose": FOR_LOOPS,
    "initialization": FOR_PARAMS | FOR_LOOPS | {"matplotlib", "pandas"},
    "aggregate": FOR_PARAMS | FOR_LOOPS | {"matplotlib", "pandas"},
    "audit": FOR_PARAMS,
    "page": FOR_PARAMS | FOR_LOOPS | {"pandas"},
    "track": FOR_PARAMS | FOR_LOOPS | {"mlflow", "pandas", "asyncio", "scipy", "sqlalchemy", "tqdm"},  # most by MLflow
}


def test_every_stage_has_its_list() -> None:
    assert set(ALLOWED) == set(chain(*ORDER)) == {path.stem for path in STAGES.glob("*.py")} - {"__init__", "progress"}


# In each line a stage may import what the stages before it may, so one process imports them in this order.
ORDER = (
    ("audit", "dataset"),
    ("train", "trajectories", "diagnose", "resolve", "page", "initialization", "aggregate"),
    ("track",),
)


@pytest.mark.parametrize("stages", [ORDER[0], *slow(*((line,) for line in ORDER[1:]))], ids=lambda stages: stages[0])
def test_a_stage_imports_what_it_uses(stages: tuple[str, ...]) -> None:
    """Before its work begins; packages that only some params.yaml need are imported later."""
    assert all(ALLOWED[before] <= ALLOWED[after] for before, after in pairwise(stages))
    code = f"import importlib, sys\nfor name in {stages}:\n    importlib.import_module('pipeline.stages.' + name)\n"
    code += f"    print(*{LARGE} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=STAGES.parents[1], check=True, capture_output=True, text=True
    )
    imported = [set(line.split()) for line in done.stdout.splitlines()]
    assert {stage: names - ALLOWED[stage] for stage, names in zip(stages, imported, strict=True)} == {
        stage: set() for stage in stages
    }


WORK = """
import sys
from importlib import import_module
for stage in STAGES:
    function = {"train": "main", "page": "write_page"}.get(stage, stage)
    getattr(import_module(f"pipeline.stages.{stage}"), function)(*[["--initializer", "he"]] * (stage == "train"))
    print("imported by", stage, *{"numba", "sklearn", "joblib"} & set(sys.modules))
"""


@pytest.mark.dvc
def test_the_work_of_the_stages_imports_no_compiler(laboratory) -> None:  # type: ignore[no-untyped-def]
    """From the compiled code in the laboratory, every stage works without Numba: here one after another in a process."""
    said = laboratory.run("python", "-c", WORK.replace("STAGES", str(tuple(ALLOWED)))).stdout
    assert re.findall(r"(?m)^imported by .*", said) == [f"imported by {stage}" for stage in ALLOWED]


@pytest.mark.parametrize(("program", "expected"), [("-m", "False"), ("-c", "True")])
def test_garbage_is_collected_except_while_a_stage_imports(program: str, expected: str) -> None:
    """As `python -m` sets sys.argv[0] while it looks for a stage; other programs that import stages keep collecting."""
    code = f"import sys; sys.argv[0] = '{program}'; import gc, pipeline.stages; print(gc.isenabled()); "
    code += "pipeline.stages.run_and_exit(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=STAGES.parents[1], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [expected, "True", "True"]
