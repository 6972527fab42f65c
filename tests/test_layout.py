"""The layout of pipeline/: which folder may import which, how long a module may be, and who imports MLflow."""

import ast
import builtins
import functools
import importlib.util
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pipeline"
# Imports point from a line to lines above it.
LAYERS = (
    "errors",
    "numerics",
    "networks",
    "datasets",
    "initializers",
    "distributions",
    "config",
    "model_files",
    "training",
    "storage",
    "cluster",
    "theory",
    "diagnostics",
    "audit",
    "analysis",
    "figures",
    "reporting",
    "page",
    "tracking",
    "experiments",
    "tutorial",
    "stages",
    "replications",
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
LINES = 300
FILES = 12
# Words for which docs and papers have technical terms.
WORDS = (
    r"Pure\.|\bborn\b(?!.dead)|\bnewborn|\bbirths?\b|\btold\b|\basked\b|\balike\b|\bwhoever\b|\blast bits?\b|\ba row a\b"
    r"|\btwins?\b|\bseed document\b"
)


def name_of(path: Path) -> str:
    """The dotted name of a module's file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imported(path: Path) -> set[str]:
    """The dotted names that a file imports anywhere in it, and of those the names imported from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def ours(path: Path) -> set[str]:
    """Of the names that a file imports those of the package."""
    return {name for name in imported(path) if name.startswith("pipeline.")}


def layer(name: str) -> int:
    """The place in LAYERS of a dotted name of the package."""
    return LAYERS.index(name.split(".")[1])


def test_every_folder_and_module_has_its_layer() -> None:
    assert {name_of(path).split(".")[1] for path in MODULES} == set(LAYERS)


def test_imports_point_down() -> None:
    upward = {
        name_of(path): names
        for path in MODULES
        if (names := {name for name in ours(path) if layer(name) > layer(name_of(path))})
    }
    assert upward == {}


def test_there_is_no_cycle_of_modules() -> None:
    files = {name_of(path): path for path in MODULES}
    graph = {name: {other for other in imported(path) if other in files} - {name} for name, path in files.items()}
    while leaves := [name for name, others in graph.items() if not others]:
        graph = {name: others.difference(leaves) for name, others in graph.items() if name not in leaves}
    assert graph == {}


def test_a_long_module_gives_its_reason() -> None:
    """A module above LINES lines says in its docstring why it is one: "Long because ..."."""
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in MODULES}
    long = {name: ast.get_docstring(ast.parse(text)) for name, text in texts.items() if text.count("\n") > LINES}
    assert [name for name, text in long.items() if not re.search(r"\bLong because\b", text or "")] == []


def test_a_folder_has_few_modules() -> None:
    sizes = Counter(path.parent.name for path in MODULES if path.name != "__init__.py" and path.parent != PACKAGE)
    assert {name: size for name, size in sizes.items() if size > FILES} == {}


def test_mlflow_is_imported_by_one_module_alone() -> None:
    """It sets the environment before; `model_code`, which is stored with models, is imported by no module."""
    files = {name_of(path): imported(path) for path in MODULES}
    importers = {name for name, names in files.items() if any(other.split(".")[0] == "mlflow" for other in names)}
    assert importers == {"pipeline.tracking.mlflow_api", "pipeline.tracking.model_code"}
    assert [name for name, names in files.items() if "pipeline.tracking.model_code" in names] == []


def test_sources_use_technical_terms() -> None:
    """Of the words of WORDS only "born dead" is a term (Lu et al. 2019)."""
    found = {
        name_of(path): words
        for path in MODULES
        if (words := re.findall(WORDS, path.read_text(encoding="utf-8"), re.IGNORECASE))
    }
    assert found == {}


def test_names_in_docstrings_and_comments_exist() -> None:
    """`name` is a module, a folder, or in the code of its own folder; the last part of `module.name` is in that module.

    `name` of an `other.name` that no module has is a package, or in the code of that file, as `math.fsum` is.
    """
    elsewhere = {  # of NumPy, scikit-learn, PyTorch and the tutorial; JavaScript's; and recipes
        *("randn", "multivariate_normal", "return_index", "return_inverse", "random_state", "factor"),
        *("mean", "kaiming_normal_", "init_utils", "log", "random_walk", "critical_normal", "he_normal"),
    }
    modules = [*MODULES, *PACKAGE.rglob("*.js"), *(ROOT / "tests").rglob("*.py"), *ROOT.glob("*/*.py")]
    code, prose = {path: code_of(path) for path in modules}, {path: prose_of(path) for path in MODULES}
    places = {path.stem for path in modules} | {path.name for path in PACKAGE.rglob("*") if path.is_dir()}
    missing = []
    for path, text in prose.items():
        near = set().union(*(code[other] for other in MODULES if other.parent == path.parent))
        for name in re.findall(r"`([A-Za-z_]\w+)(?:\(\))?`", text):
            if name not in near | places | elsewhere and not hasattr(builtins, name):
                missing.append((name_of(path), name))
        for place, name in re.findall(r"`(?:[\w.]+\.)?([A-Za-z_]\w*)\.(\w+)`", text):
            found = [code[other] | {"py", "js"} for other in modules if other.stem == place]
            found += [{other.stem for other in folder.iterdir()} for folder in PACKAGE.rglob(place)]
            known = place in near or importlib.util.find_spec(place)
            if not (any(name in words for words in found) if found else known):
                missing.append((name_of(path), f"{place}.{name}"))
    assert missing == []


def code_of(path: Path) -> set[str]:
    """The words of a file without its docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        return set(re.findall(r"\w+", text))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kept = [each.string for each in tokens if each.type not in (tokenize.COMMENT, tokenize.ENCODING)]
    return set(re.findall(r"\w+", " ".join(each for each in kept if not each.startswith('"""'))))


def prose_of(path: Path) -> str:
    """The docstrings and comments of a file."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join([*docstrings, *(each.string for each in tokens if each.type == tokenize.COMMENT)])


def test_a_package_says_what_it_holds() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("__init__.py")}
    assert [path for path, text in texts.items() if not ast.get_docstring(ast.parse(text))] == []


def test_the_tests_mirror_the_folders() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    tested = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    assert folders == tested
