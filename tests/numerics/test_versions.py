"""No stored number depends on the version of Python, NumPy or pandas: the sources are searched for what does.

The built-in `sum` of floats is compensated since Python 3.12, `statistics` changed its algorithms, the order of a set of
text differs from one process to the next, NumPy's reductions add pairwise and in an order of the processor's own, the
functions of the C library and of BLAS differ by an ulp, and pandas.read_csv has rounded differently in every major version.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from pipeline.storage import atomic_files, reports

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("pipeline", "own", "replications") for path in (ROOT / folder).rglob("*.py"))

REDUCTIONS = "sum mean std var average median quantile percentile nansum nanmean nanstd prod dot matmul einsum inner vdot tensordot"
REDUCTIONS += " trapezoid corrcoef cov corr cumsum cumprod convolve polyfit polyval describe agg ewm rolling"
LIBM = (
    "exp exp2 expm1 log log2 log10 log1p pow power float_power sin cos tan asin acos atan atan2 arctan sinh cosh tanh"
)
LIBM += " erf erfc gamma lgamma hypot cbrt dist sumprod logaddexp sinc interp"
LIBM += " geomspace logspace svd eigh eigvalsh qr norm solve inv det lstsq"
READERS = "read_csv read_table read_json read_fwf loadtxt genfromtxt fromstring to_numeric"

# What is found and may stay: the expression, and why no stored bit depends on it
ALLOWED = {
    "hidden['units'].sum()": "integers",
    "hidden['unique_incoming_outgoing'].sum()": "integers",
    "hidden['dead'].sum()": "integers",
    "hidden['full_rank'].sum()": "integers",
    "units.sum(axis=1)": "truth values",
    "reached.notna().sum()": "truth values",
    "models.sum()": "truth values",
    "2.0 ** (1 - unequal)": "an exact power of two",
    "units[key].sum(axis=0)": "counts",
    "histogram.counts.sum()": "counts",
    "matrix.sum(axis=1)": "counts",
    "models['blocked'].sum()": "truth values",
    "models['only_biases'].sum()": "truth values",
    "np.cumsum(counts[1:-1])": "counts",
    "np.cumsum([0, *(S.X.shape[1] // LANES for S in batches)])": "integers",
    "math.prod(shape)": "integers",
    "math.prod(layer.weight.shape)": "integers",
    "single[start:start + BLOCK] @ single[other:other + BLOCK].T": "selects pairs that are computed again",
    "rows.astype(np.float32) @ rows.astype(np.float32).T": "selects pairs that are computed again",
    "math.log(n_classes)": "printed with four digits",
    "math.erfc(a)": "compared with a threshold when params.yaml is checked",
    "math.erfc(-b)": "compared with a threshold when params.yaml is checked",
    "np.linalg.svd(M[finite], compute_uv=False)": "rounded to six digits before anything is stored",
    "np.linalg.eigvalsh(product(rows[None], rows.T)[0])": "rounded to six digits before anything is stored",
    "10 ** k": "integers",
    "2 ** len(sizes)": "integers",
    "4.0 ** k": "an exact power of two",
    "2.0 ** (1 - n)": "an exact power of two",
    "math.log2(1.0 - confidence)": "rounded up to an integer, for a note that is printed",
    "random.uniform(0.01, 0.1)": "a time to wait",
    "random.getstate()": "set back after a graded function was called",
    "random.seed(seed)": "for a graded function, whose weights are not stored",
    "random.setstate(states[1])": "set back after a graded function was called",
}
FIGURES = ROOT / "pipeline" / "figures"  # pixels, which are promised for one set of wheels only
WITH_MODELS = {"model_code.py"}  # runs beside a saved model, without this package; stores nothing


def dependent(tree: ast.AST, drawing: bool = False) -> Iterator[str]:
    """The expressions in a module whose value depends on the versions of the interpreter and the libraries.

    In a module that draws, powers and the functions of libm are left out.
    """
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "pipeline.numerics"]
    ours = any(alias.name == "random" for node in froms for alias in node.names)  # not the standard library's
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"import {name}" for name in names if name == "statistics" or str(name).startswith("scipy"))
        elif isinstance(node, ast.For | ast.comprehension) and unordered(node.iter):
            yield f"for ... in {ast.unparse(node.iter)}"
        elif isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.MatMult) or (
                isinstance(node.op, ast.Pow) and not drawing and not constant(node)
            ):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            module, _, name = called.rpartition(".")
            reduction = bool(module) and module not in ("estimators", "self") and name in REDUCTIONS.split()
            reduction = reduction and not (isinstance(node.func, ast.Attribute) and truth_values(node.func.value))
            libm = not drawing and module in ("math", "cmath", "np", "numpy", "np.linalg") and name in LIBM.split()
            reader = module in ("pd", "pandas", "np", "numpy") and name in READERS.split()
            builtin = called in ("sum", "hash", "pow") or any(ast.unparse(argument) == "sum" for argument in node.args)
            ordering = called in ("list", "tuple", "enumerate", "iter", "next", "map", "zip") or name == "join"
            of_set = ordering and any(unordered(argument) for argument in node.args)
            if reduction or libm or reader or builtin or of_set or (module == "random" and not ours):
                yield ast.unparse(node)


def without_drawing(tree: ast.Module) -> ast.Module:
    """The module of a replication without its function `draw` and functions whose names begin with `draw_`."""
    named = re.compile(r"_?draw(_\w+)?")
    kept = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and named.fullmatch(node.name))]
    return ast.Module(kept, [])


def unordered(node: ast.AST) -> bool:
    """Whether an expression is evidently a set."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr | ast.Sub | ast.BitXor):
        return unordered(node.left) or unordered(node.right)
    made = isinstance(node, ast.Call) and ast.unparse(node.func) in ("set", "frozenset")
    return made or isinstance(node, ast.Set | ast.SetComp)


def truth_values(node: ast.AST) -> bool:
    """Whether an expression is evidently an array of truth values: a comparison, or some combined by & and |."""
    combined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr)
    return isinstance(node, ast.Compare) or combined


def constant(power: ast.BinOp) -> bool:
    """Whether a power is one of two numbers written out, of which the base is 2 or 10."""
    operands = [ast.unparse(power.left), ast.unparse(power.right).removeprefix("-")]
    return operands[0] in ("2", "2.0", "10") and operands[1].isdecimal()


@pytest.mark.parametrize(
    "source",
    [
        "x = sum(values)",
        "x = list(map(sum, rows))",
        "import statistics",
        "from statistics import fmean",
        "x = hash(name)",
        "for x in {1, 2}: f(x)",
        "x = [f(y) for y in set(names) - {a}]",
        "x = ', '.join({f(y) for y in z})",
        "x = list(set(y))",
        "x = np.sum(y)",
        "x = y.mean(axis=0)",
        "x = W @ A",
        "x = y ** 0.5",
        "x = 2.0 ** y",
        "x = math.exp(y)",
        "x = np.log1p(y)",
        "x = pd.read_csv(path)",
        "x = np.loadtxt(path)",
        "x = random.random()",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert list(dependent(ast.parse(source)))


def test_no_source_depends_on_a_version() -> None:
    used = set()
    for path in SOURCES:
        if path.name in WITH_MODELS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.name == "sums.py":  # the one place of the built-in sum, which refuses floats
            (call,) = (found for found in dependent(tree))
            assert call == "sum(map(operator.index, values))"
            continue
        drawn = path.is_relative_to(FIGURES)
        found = set(dependent(without_drawing(tree) if path.name == "replication.py" else tree, drawing=drawn))
        found |= set(dependent(tree, drawing=True))
        used |= found
        assert found <= set(ALLOWED), f"{path.relative_to(ROOT)}: {sorted(found - set(ALLOWED))}"
    assert used == set(ALLOWED), f"allowed, but not there: {sorted(set(ALLOWED) - used)}"


# ---------------------------------------------------------------------------------------------------------------------
# Tables are read to the nearest double, whatever pandas does


def test_every_float_of_a_table_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20,000 random doubles of 17 digits, pandas.read_csv of version 2.3 gets a third wrong by an ulp."""
    monkeypatch.setattr(reports, "REPORTS", tmp_path)
    bits = np.random.RandomState(7).randint(0, 2**63, 20_000, dtype=np.int64)
    values = bits.view(np.float64)
    values = np.concatenate([values[np.isfinite(values)], [5e-324, 1.7976931348623157e308, 0.1, -0.0, np.inf, np.nan]])
    reports.write_table("t", pd.DataFrame({"initializer": "inf", "n": np.arange(len(values)), "x": values}))
    table = atomic_files.read_table(tmp_path / "t.csv")
    assert table["x"].to_numpy().tobytes() == values.tobytes()
    assert (table["n"].dtype, table["x"].dtype) == (np.int64, np.float64)
    assert set(table["initializer"]) == {"inf"}  # the name of an initializer, not a number


def test_what_is_missing_in_a_table() -> None:
    table = atomic_files.parse_table("initializer,n,word,x,none\nhe,1,,,\n,,a b,2.5,\n")
    assert table["n"].tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    assert table["x"].tolist() == pytest.approx([np.nan, 2.5], nan_ok=True)
    assert table.isna().sum().tolist() == [1, 1, 1, 1, 2]
    assert table["word"][1] == "a b"
    assert len(atomic_files.parse_table("a,b\n")) == 0


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for damaged in (b"a,b\n1\n", b"a,b\n1,\xff\n", b'a\n"1\n'):
        path.write_bytes(damaged)
        with pytest.raises(atomic_files.FileError, match="is damaged: it is not a table in CSV"):
            atomic_files.read_table(path)


# ---------------------------------------------------------------------------------------------------------------------
# The versions that are declared


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["laboratory"]]
REQUIRED = {each.name: each.specifier for each in map(Requirement, DECLARED)}


def test_what_is_installed_is_allowed() -> None:
    assert [name for name, allowed in REQUIRED.items() if version(name) not in allowed] == []


@pytest.mark.parametrize("name", ["numba", "pandas", "dvc", "mlflow"])
def test_what_a_next_version_may_break_has_an_upper_bound(name: str) -> None:
    """Private attributes of Numba are used, DVC's output is read, and MLflow's folders are written."""
    assert any(bound.operator == "<" for bound in REQUIRED[name])


def supported() -> list[str]:
    """The minor versions of Python that pyproject.toml allows, in order."""
    allowed = SpecifierSet(PROJECT["requires-python"])
    return [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed]


def test_the_documents_name_the_supported_pythons() -> None:
    versions = supported()
    classifiers = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert classifiers == versions
    for name in ("README.md", "Makefile", "CHANGELOG.md"):
        text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        assert f"Python {versions[0]} to {versions[-1]}" in text, name


def test_make_refuses_every_other_python() -> None:
    """The condition of the Makefile, for versions around the bounds; its message is also in docs/trouble.md."""
    versions = supported()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (condition,) = re.findall(r"sys\.exit\((not .*?) and ", makefile)
    for minor in range(9, 20):
        refused = eval(condition, {"sys": SimpleNamespace(version_info=(3, minor, 1, "final", 0))})
        assert refused == (f"3.{minor}" not in versions), minor
    message = f"Python {', '.join(versions[:-1])} or {versions[-1]} is needed"
    assert message in makefile
    assert message in (ROOT / "docs" / "trouble.md").read_text(encoding="utf-8")


def test_ci_runs_the_supported_pythons() -> None:
    """On Linux all of them, on macOS and Windows the first and the last."""
    jobs = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == supported()
    assert jobs["quick"]["strategy"]["matrix"]["python"] == [supported()[0], supported()[-1]]
