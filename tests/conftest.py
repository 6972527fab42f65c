"""A miniature laboratory: the project in a repository of its own, with an empty home and small parameters."""

import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from pipeline.networks import kernel
from pipeline.numerics import machine_code, matmul
from tests import forked_commands

ROOT = Path(__file__).parent.parent
GARBAGE = 50_000  # objects between two collections, instead of 700
os.environ.pop("DASK_SCHEDULER_ADDRESS", None)  # tests start clusters of their own
# Before NumPy is imported, as in the stages: BLAS threads that wait for work use CPU time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

MINIATURE = """\
data: {name: circles, n_train: 30, n_test: 20, noise: 0.05, train_seed: 1, test_seed: 2}
network: {hidden_sizes: [4, 3], activation: relu}
training: {iterations: 40, learning_rate: 0.1, batch_size: full, momentum: 0.0, record_every: 20}
seeds: [3, 5]
initializers:
  zeros: {recipe: zeros}
  small: {recipe: normal, std: 0.01}
  he: {recipe: he_normal}
comparison: {highlight_seed: 3, reference: he, target_cost: 0.1, target_accuracy: 0.99, confidence: 0.95}
tracking: {curve_points: 0, detailed_seeds: []}
audits: {}
"""


OTHER_STAGES = ("replications/dvc.yaml", "replications/dvc.lock")  # which the pipeline does not run
RESULTS = ("data", "jobs", "runs", "trajectories", "diagnostics", "reports")
AUDITED = "mlp_compressed.npz"  # in audits/ of a miniature laboratory: three layers; the examples have 24 to be drawn
LIBRARIES = (kernel.compiled, matmul.compiled)
LONGEST = (  # the first one compiles what the others load; the next three do not need it at once
    *("any_processor", "in_browser", "servers", "publish", "pipeline", "listing"),
    *("reproduction", "reliability", "browser", "kills", "loading", "connection"),
    *("training_figures", "mean_field", "audit", "initialization_figures", "imports", "serve", "delete"),
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without collecting garbage; what they consist of is then left alone by later collections."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(GARBAGE)
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether -m excludes a mark of the whole module, which is then not imported: servers and Dask take seconds."""
    if collection_path.suffix != ".py" or not re.fullmatch(r"not \w+( and not \w+)*", config.option.markexpr):
        return None
    marks = re.search(r"(?m)^pytestmark = (.*)$", collection_path.read_text(encoding="utf-8"))
    excluded = re.findall(r"not (\w+)", config.option.markexpr)
    return True if marks and {*excluded} & {*re.findall(r"pytest\.mark\.(\w+)", marks[1])} else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a miniature laboratory as `dvc`; put the modules that take longest first.

    So no worker of pytest-xdist is left alone with a long module at the end, or waits for what another one makes.
    """
    for item in items:
        if "finished" in getattr(item, "fixturenames", ()):  # what a fixture depends on included
            item.add_marker("dvc")
    order = [f"test_{name}" for name in LONGEST]
    items.sort(key=lambda item: order.index(item.path.stem) if item.path.stem in order else len(order))


def environment(home: Path) -> dict[str, str]:
    """The variables for commands in a laboratory."""
    keep = {name: os.environ[name] for name in ("LANG", "SYSTEMROOT", "NUMBA_CACHE_DIR") if name in os.environ}
    return keep | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "DVC_NO_ANALYTICS": "1",
    }


class Laboratory:
    """A clone of the project's files, without its tests, in a folder of its own, and commands run there."""

    def __init__(self, folder: Path, params: str | None = MINIATURE) -> None:
        self.root = folder / "repository"
        home = folder / "home"
        home.mkdir(parents=True)
        list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        own_git = {}
        if not (ROOT / ".git").exists():  # a ZIP download: an empty repository elsewhere knows what is ignored
            own_git = {"GIT_DIR": str(folder / "git"), "GIT_WORK_TREE": str(ROOT)}
            subprocess.run(["git", "init", "-q"], env=os.environ | own_git, check=True)
        tracked = subprocess.run(
            list_files, cwd=ROOT, env=os.environ | own_git, capture_output=True, check=True, text=True
        ).stdout
        for name in filter(None, tracked.split("\0")):
            if name not in OTHER_STAGES and not name.startswith("tests/") and (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        copy_compiled(ROOT, self.root)
        if params is not None:
            shutil.rmtree(self.root / "reports", ignore_errors=True)
            (self.root / "dvc.lock").unlink(missing_ok=True)
            self.write("params.yaml", params)
            self.delete(*(f"audits/{path.name}" for path in (self.root / "audits").glob("*.pt")))
            shutil.copy2(ROOT / "tests" / "model_files" / "files" / AUDITED, self.root / "audits")
        self.environment = environment(home)
        self.run("git", "init", "-q", "-b", "main")
        self.commit("start")

    @classmethod
    def opened(cls, folder: Path) -> "Laboratory":
        """The laboratory that another process made in `folder`."""
        made = cls.__new__(cls)
        made.root, made.environment = folder / "repository", environment(folder / "home")
        return made

    @property
    def store(self) -> str:
        """The address of its own MLflow store."""
        return f"sqlite:///{self.root.as_posix()}/mlflow.db"

    def copied(self, folder: Path) -> "Laboratory":
        """The same in another folder, with its cache and its compiled kernel."""
        copy = Laboratory.__new__(Laboratory)
        copy.root = folder / "repository"
        shutil.copytree(self.root, copy.root)
        copy.environment = self.environment
        return copy

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository; stdout and stderr come together as `stdout`."""
        if forked_commands.can_run(command):
            with tempfile.NamedTemporaryFile(mode="r", prefix="said") as said:
                code = forked_commands.run(command, self.root, self.environment | environment, Path(said.name))
                done = subprocess.CompletedProcess(command, code, said.read())
        else:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=self.environment | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        assert not check or done.returncode == 0, f"{command}:\n{done.stdout}"
        return done

    def start(self, *command: str) -> subprocess.Popen[str]:
        """The same without waiting for its end; what it says is read by `communicate`."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def repro(self, *arguments: str) -> list[str]:
        """`dvc repro`; gives the names of the stages that really ran, in order."""
        lines = self.run("dvc", "repro", *arguments).stdout.splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage '")]

    def stage(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a stage's module by hand."""
        return self.run("python", "-m", f"pipeline.stages.{name}", *arguments, check=False)

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)

    def pack(self) -> None:
        """Put git's objects, half of all files of a repository, into one file, with which it is copied faster."""
        self.run("git", "repack", "-q", "-a", "-d", "-k")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in a file."""
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def unmake(self) -> None:
        """Delete everything that the pipeline made, DVC's cache and MLflow's store too; the kernel stays compiled."""
        self.delete(*RESULTS, "dvc.lock", ".dvc/cache", ".dvc/tmp")
        self.unpublish()

    def unpublish(self) -> None:
        """Delete MLflow's store, and that anything was published to it."""
        self.delete("mlflow.db", "mlartifacts", "tracked.json")

    def delete(self, *names: str) -> None:
        for name in names:
            path = self.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def results(self) -> dict[str, bytes]:
        """Everything that the pipeline made and promises byte for byte."""
        files = [path for folder in RESULTS for path in (self.root / folder).rglob("*") if path.name != ".gitignore"]
        files += [self.root / "dvc.lock", self.root / "tracked.json"]
        return {file.relative_to(self.root).as_posix(): file.read_bytes() for file in files if file.is_file()}


def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that the workers of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def compiling(root: Path) -> Iterator[None]:
    """A context in which a process compiles in the repository `root`; the other workers wait and find the same in ROOT."""
    with ExitStack() as stack:
        for library in LIBRARIES:
            stack.enter_context(machine_code.locked(library.name_of_file()))
        yield
        copy_compiled(root, ROOT)


def compile_once() -> None:
    """Load the compiled libraries, which one worker compiles in ROOT if they are not there."""
    kernel.compiled["descend_models"]
    matmul.compiled["products"]


def copy_compiled(source: Path, target: Path) -> None:
    """Copy the compiled libraries that the other repository does not have: compiling takes ten seconds."""
    ours, theirs = (root / "pipeline" / "__pycache__" for root in (source, target))
    theirs.mkdir(parents=True, exist_ok=True)
    for path in ours.glob("*.nbo"):
        if not (theirs / path.name).exists():
            part = Path(shutil.copy2(path, theirs / f"{path.name}.part"))
            part.replace(theirs / path.name)


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Laboratory:
    """A copy of the laboratory that `make` makes in a given folder, once for all workers of pytest-xdist.

    No worker uses the original, so it does not change while another one copies it.
    """
    shared = of_all_workers(tmp_path_factory) / name
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            shutil.rmtree(shared, ignore_errors=True)  # of a worker that failed
            make(shared)
            (shared / "done").touch()
    return Laboratory.opened(shared).copied(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A miniature laboratory in which everything has run; not to be changed."""

    def make(folder: Path) -> None:
        compile_once()
        laboratory = Laboratory(folder)
        laboratory.repro()
        laboratory.commit("results")
        laboratory.pack()

    return made_once(tmp_path_factory, "finished", make)


QUEUED = {"rate-1": 0.05, "rate-2": 5.0}  # learning rates of the queued experiments


def processes_in(folder: Path) -> list[psutil.Process]:
    """The processes whose working directory is in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_for_experiments(laboratory: Laboratory, seconds: float) -> None:
    """Wait until git has all queued experiments, at most so long: `dvc queue status` takes half a second of a core."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        refs = laboratory.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.splitlines()
        if QUEUED.keys() <= {ref.rpartition("/")[2] for ref in refs}:
            return


def run_experiments(laboratory: Laboratory) -> None:
    """Run the experiments of QUEUED in DVC's queue, two at a time, then `std20` in the workspace, where it stays."""
    rates = ",".join(map(str, QUEUED.values()))
    laboratory.run("dvc", "exp", "run", "--queue", "-n", "rate", "-S", f"training.learning_rate={rates}")
    laboratory.run("dvc", "queue", "start", "-j", "2")
    try:
        end = time.monotonic() + 600
        while re.search(r"Queued|Running", said := laboratory.run("dvc", "queue", "status").stdout):
            assert time.monotonic() < end, said
            wait_for_experiments(laboratory, 20)
    finally:
        laboratory.run("dvc", "queue", "stop", "--kill")
        _, alive = psutil.wait_procs(processes_in(laboratory.root), timeout=60)
        for process in alive:
            process.kill()
    assert not alive
    assert laboratory.run("git", "status", "--porcelain").stdout == ""  # the workspace is as it was
    laboratory.run("dvc", "exp", "run", "-n", "std20", "-S", "initializers.small.std=0.02")
    laboratory.pack()


@pytest.fixture(scope="session")
def experimented(finished: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """The finished laboratory after three experiments, of which `std20` is in the workspace; not to be changed."""
    return made_once(tmp_path_factory, "experimented", lambda folder: run_experiments(finished.copied(folder)))


@pytest.fixture
def laboratory(finished: Laboratory, tmp_path: Path) -> Laboratory:
    """A copy of the finished laboratory, with its cache, to be changed at will."""
    return finished.copied(tmp_path)
