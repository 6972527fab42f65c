"""Mutation testing: `make mutants` breaks one line at a time in a copy and runs the tests of that folder.

Each mutation is a small mistake that a person could make. One that no test notices survives, and is printed; the exit
code is then 1. `python -m tests.mutants numerics theory` runs those of some folders. General tools change every operator
of every line, thousands of mutations of which many do not matter; these are chosen for what they would do to a result.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
WITHOUT = "not dvc and not servers and not browser and not slow"


class Mutation(NamedTuple):
    """A piece of text that stands once in a file of pipeline/, and what replaces it."""

    file: str
    old: str
    new: str
    tests: str = ""  # below tests/; the folder of the file if empty


MUTATIONS = (
    # numerics
    Mutation("numerics/sums.py", "n + -n % LANES)", "n)"),
    Mutation("numerics/sums.py", "lanes = lanes[..., :2] + lanes[..., 2:]", "lanes = lanes[..., :2] - lanes[..., 2:]"),
    Mutation("numerics/sums.py", "total = total + value", "total = value + total * 1.0000000000000002"),
    Mutation("numerics/sources.py", "todo += imported_files(path)", "todo += imported_files(path)[:-1]"),
    Mutation("numerics/machine_code.py", '("numba", "llvmlite")', '("llvmlite",)'),
    # networks
    Mutation("networks/reference.py", "pad(np.full(m, 1.0 / m))", "pad(np.full(m, 1.0 / (m + 1)))"),
    Mutation("networks/reference.py", "(probability[..., 0, :] > 0.5)", "(probability[..., 0, :] > 0.4)"),
    Mutation("networks/reference.py", "rule.momentum * vW + dW", "rule.momentum * vW - dW"),
    Mutation("networks/reference.py", "W - learning_rate * dW", "W + learning_rate * dW"),
    Mutation("networks/reference.py", "weight * (0.5 * total)", "weight * total"),
    Mutation("networks/losses.py", "    return z - y\n", "    return y - z\n"),
    Mutation("networks/kernel_passes.py", "load_vector(Y, k * row_step + place)", "load_vector(Y, place)"),
    Mutation("networks/kernel_output.py", "G + BLOCK * n_inputs", "G"),
    Mutation("networks/activations.py", "silu_slope, slope_needs_z=True", "silu_slope"),
    Mutation("numerics/elementary.py", "power_of_two(shifted + 128.0)", "power_of_two(shifted + 127.0)"),
    Mutation("networks/parameters.py", "np.nextafter(W, np.inf)", "np.nextafter(W, -np.inf)", "diagnostics"),
    Mutation("networks/activations.py", "SELU_SCALE = 1.05", "SELU_SCALE = 1.06"),
    # distributions
    Mutation("distributions/families.py", "fourth = 3.0 * square - 16.0 * edge", "fourth = 3.0 * square - 8.0 * edge"),
    Mutation("distributions/laws.py", "TANH_GAIN = 25.0 / 9.0", "TANH_GAIN = 5.0 / 3.0"),
    Mutation("distributions/summary.py", "first = -(start * n_columns) % step", "first = 0"),
    Mutation("distributions/summary.py", "squares=squares,", "squares=squares - total,"),
    Mutation("distributions/goodness.py", "family.square_third * n / (std", "2.0 * family.square_third * n / (std"),
    Mutation("distributions/goodness.py", "return min(1.0, 2.0 * len(sums) *", "return min(1.0, 2.0 *"),
    Mutation("distributions/goodness.py", "pair.n_pairs * tail", "tail"),
    Mutation("distributions/goodness.py", "(root + 0.12 + 0.11 / root) * distance", "1.2 * root * distance"),
    Mutation("distributions/dependence.py", "copyto(cosines, -1.0,", "copyto(cosines, 0.0,"),
    Mutation("distributions/explain.py", "width = min(1.0, width / SCALES)", "width = SCALES"),
    Mutation("distributions/streams.py", "n_tests * beta_tail(", "beta_tail("),
    Mutation("distributions/power.py", "QUANTILE = 1.6448536269514722", "QUANTILE = 0.6448536269514722"),
    # model_files
    Mutation("model_files/layers.py", "values.reshape(-1, self.units).T", "values.reshape(self.units, -1)"),
    Mutation("model_files/layers.py", 'if leaf == "num_batches_tracked" and', 'if leaf == "num_batches" and'),
    Mutation(
        "model_files/formats/safetensors_files.py", "values.offset + start, stop", "values.offset, stop", "model_files"
    ),
    # the stage audit
    Mutation("config/audits.py", "if any(isinstance(layer, float)", "if not any(isinstance(layer, float)"),
    Mutation(
        "figures/audit_figure.py",
        "(values + REACH) * (BINS",
        "(values - REACH) * (BINS",
        "figures/test_audit_figure.py",
    ),
    Mutation("figures/audit_figure.py", "* step : step]", "* step]", "figures/test_audit_figure.py"),
    Mutation("figures/audit_figure.py", "n // 4)", "0)", "figures/test_audit_figure.py"),
    Mutation("figures/audit_figure.py", "(x * x)) / curve.std", "(x * x))", "figures/test_audit_figure.py"),
    Mutation("figures/audit_figure.py", "z - curve.mean", "z + curve.mean", "figures/test_audit_figure.py"),
    Mutation(
        "reporting/audit_report.py", "STATES.index(audits[name].state), name", "name", "reporting/test_audit_report.py"
    ),
    Mutation(
        "reporting/audit_report.py",
        '"alarms": of[ALARM]',
        '"alarms": of[NOT_CHECKED]',
        "reporting/test_audit_report.py",
    ),
    Mutation("stages/audit.py", "found - batches", "found", "stages/test_audit.py"),
    Mutation("stages/audit.py", "(hidden or indexed or", "(hidden or", "stages/test_audit.py"),
    Mutation(
        "stages/audit.py",
        "settings.expect, settings.activation, given",
        '"", settings.activation, given',
        "stages/test_audit.py",
    ),
    Mutation("tracking/runs.py", "!= AUDITS}", "== AUDITS}", "tracking/test_runs.py"),
    # audit
    Mutation("audit/run.py", "p = min(1.0, n_tests * weights.p)", "p = min(1.0, weights.p)", "audit/test_run.py"),
    Mutation(
        "audit/run.py", "2 * len(weights) >= len(judged)", "2 * len(weights) > 2 * len(judged)", "audit/test_run.py"
    ),
    Mutation(
        "audit/command/main.py", "return printed, max(codes)", "return printed, min(codes)", "audit/test_command.py"
    ),
    Mutation("audit/command/text.py", "worst = audit.findings[0]", "worst = audit.findings[-1]", "audit/test_text.py"),
    Mutation("audit/grading/contract.py", "if not same_global:", "if False:", "audit/test_grade.py"),
    Mutation("audit/grading/reasons.py", "math.sqrt(s) / n", "s / n / n", "audit/test_grade.py"),
    Mutation("audit/judge.py", "ratio = found.std / wanted.std", "ratio = wanted.std / found.std", "audit"),
    Mutation(
        "audit/local_faults.py", "np.delete(W, removed, axis=axis)", "np.delete(W, removed, axis=1 - axis)", "audit"
    ),
    # initializers
    Mutation(
        "initializers/fan_scaling.py",
        "W = random.uniform(rng, (fan_out, fan_in), -1.0, 1.0) * r",
        "W = random.uniform(rng, (fan_out, fan_in), -1.0, 1.0) * 1.02 * r",
    ),
    Mutation(
        "initializers/fan_scaling.py",
        "draw(rng, (fan_out, fan_in), scale / size(fan_in, fan_out))",
        "draw(rng, (fan_out, fan_in), scale / size(fan_out, fan_in))",
    ),
    Mutation("initializers/networkwise.py", "- 1.0) <= tolerance", "- 1.0) <= 10 * tolerance"),
    Mutation("initializers/networkwise.py", "W, b = W / ", "W, b = 1.01 * W / "),
    Mutation(
        "initializers/recipes.py", "parameters.append((W * gain, b + bias))", "parameters.append((W * gain, b - bias))"
    ),
    Mutation("initializers/recipes.py", "if values.shape != shape:", "if values.size != fan_out * shape[1]:"),
    # datasets
    Mutation("datasets.py", "INNER_RADIUS = 0.8", "INNER_RADIUS = 0.81", "test_datasets.py"),
    Mutation("datasets.py", "(X[:1] * X[1:] < 0.0)", "(X[:1] * X[1:] > 0.0)", "test_datasets.py"),
    Mutation("datasets.py", "centred * centred)) / n)", "centred * centred)) / (n - 1))", "test_datasets.py"),
    # tutorial
    Mutation("tutorial.py", "value - learning_rate * grads", "value + learning_rate * grads", "test_tutorial.py"),
    Mutation("tutorial.py", "np.where(Y == 1.0, a3, 1.0 - a3)", "np.where(Y == 0.0, a3, 1.0 - a3)", "test_tutorial.py"),
    Mutation("tutorial.py", "fixed_scale.normal(std=10.0)", "fixed_scale.normal(std=9.0)", "test_tutorial.py"),
    # config
    Mutation("config/schema.py", "if record_every > iterations:", "if record_every >= iterations:"),
    Mutation(
        "config/messages.py",
        "isinstance(value, int | float) and not isinstance(value, bool)",
        "isinstance(value, int | float)",
    ),
    Mutation("config/schema.py", "MAX_SEED = 2**32 - 1", "MAX_SEED = 2**32"),
    Mutation("config/validation.py", "if kind is None or not self.holds(value):", "if kind is None:"),
    # training
    Mutation(
        "training/gradient_descent.py",
        "np.random.RandomState([seed, SHUFFLES])",
        "np.random.RandomState([3, SHUFFLES])",
    ),
    Mutation("training/gradient_descent.py", "steps = min(piece, due - step)", "steps = min(piece, due - step + 1)"),
    Mutation("training/gradient_descent.py", "costs[:, record] = ", "costs[:, record - 1] = "),
    # storage
    Mutation("storage/atomic_files.py", "part.replace(path)", "path.write_bytes(content)"),
    Mutation(
        "storage/trained.py",
        "np.repeat(seeds, len(iterations)), np.tile(iterations, len(seeds))",
        "np.repeat(seeds, len(iterations)), np.tile(iterations, len(seeds)) * 0 + costs['iteration']",
    ),
    Mutation("storage/jobs.py", "if step < self.iterations)", "if step <= self.iterations)"),
    Mutation("storage/reports.py", "if path.stem not in metrics", "if path.stem in metrics"),
    Mutation(
        "storage/resolved.py",
        " - {sources.PACKAGE / name for name in PRINTING}",
        "",
        "stages/test_dvc_yaml.py",
    ),
    # theory
    Mutation(
        "theory/correlation.py",
        "covariance = 0.5 * q * relu_correlation(c)",
        "covariance = 0.505 * q * relu_correlation(c)",
    ),
    Mutation("theory/correlation.py", "(math.pi - alpha) * c) / math.pi)", "(math.pi + alpha) * c) / math.pi)"),
    Mutation("numerics/random.py", "max(low, -NORMAL_MAX)", "max(low, -1.0)", "theory"),
    Mutation("theory/isometry.py", "(1.0 if orthogonal else 0.0)", "(0.0 if orthogonal else 1.0)"),
    Mutation("theory/predictions.py", "float(elementary.log(variance / 2.0))", "float(elementary.log(variance))"),
    # diagnostics
    Mutation("networks/saturation.py", "FLAT = 0.1", "FLAT = 0.2", "diagnostics"),
    Mutation(
        "diagnostics/signals.py",
        "(activation.slope(Z, A) == 0.0).all(axis=2)",
        "(activation.slope(Z, A) == 0.0).any(axis=2)",
    ),
    Mutation("diagnostics/spectra.py", "min(J.shape[1:]) * of_squares", "J.shape[1] * of_squares"),
    Mutation("diagnostics/geometry.py", "np.roll(Z, -1, axis=2) - Z", "np.roll(Z, -2, axis=2) - Z"),
    Mutation("diagnostics/symmetry.py", "plain = rows + 0.0", "plain = rows + 0.1"),
    Mutation("diagnostics/outcomes.py", '"train_accuracy": accuracy(*train)', '"train_accuracy": accuracy(*test)'),
    Mutation("diagnostics/labels.py", "COLLAPSED = 0.99", "COLLAPSED = 0.5"),
    # analysis
    Mutation(
        "analysis/estimators.py",
        "return math.sqrt(squares / (len(values) - 1))",
        "return math.sqrt(squares / len(values))",
    ),
    Mutation("analysis/estimators.py", "(len(p_values) - rank) * p_values[index]", "len(p_values) * p_values[index]"),
    Mutation(
        "analysis/estimators.py",
        "key=lambda value: (math.isnan(value), value)",
        "key=lambda value: (not math.isnan(value), value)",
    ),
    Mutation("analysis/comparison.py", '.set_index("seed").loc[base.index]', '.set_index("seed")'),
    Mutation("analysis/comparison.py", "int(reached[0]) if len(reached)", "int(reached[-1]) if len(reached)"),
    Mutation("analysis/published_results.py", "np.array_equal(a, b)", "a.shape == b.shape"),
    # figures
    Mutation("figures/training_figures.py", 'scale.place(band["median"])', 'scale.place(band["q75"])'),
    Mutation(
        "figures/training_figures.py",
        '("train_accuracy", "test_accuracy"), ("training", "test")',
        '("test_accuracy", "train_accuracy"), ("training", "test")',
    ),
    Mutation(
        "figures/initialization_figures.py",
        'f"a{l}" for l in range(1, n_layers)',
        'f"z{l}" for l in range(1, n_layers)',
    ),
    Mutation("figures/plane.py", "math.ceil(2.04", "math.floor(2.04"),
    # replications
    Mutation("replications/networks.py", "fan_in) * recipe.gain", "fan_in)"),
    Mutation(
        "replications/networks.py", "for item in items for seed in seeds]", "for seed in seeds for item in items]"
    ),
    Mutation("replications/trained.py", "-(-settings.data.n_train //", "(settings.data.n_train //"),
    Mutation("replications/phases.py", "(ratio <= multiple)", "(ratio < multiple)"),
    Mutation("replications/drawing.py", "quantile(part[y].tolist(), 0.5)", "quantile(part[y].tolist(), 0.25)"),
    # reporting
    Mutation("reporting/markdown.py", "max(", "min("),
    Mutation("reporting/remarks.py", "EQUAL = 0.001", "EQUAL = 0.1"),
    Mutation("reporting/conclusions.py", "key=lambda name: -reached[name]", "key=lambda name: reached[name]"),
    Mutation("reporting/conclusions.py", 'test["mean_difference"] < 0.0', 'test["mean_difference"] > 0.0'),
    # experiments
    Mutation(
        "experiments/listing.py",
        "if now.get(key) != before.get(key):",
        "if key in now and now.get(key) != before.get(key):",
    ),
    Mutation("experiments/listing.py", "(tree.digest(path) or written.get(path, md5))", "written.get(path, md5)"),
    Mutation("experiments/sweep.py", "ordered.iloc[0], ordered.iloc[1]", "ordered.iloc[1], ordered.iloc[0]"),
    # stages
    Mutation("stages/progress.py", "if now >= due and finished < total", "if now >= due"),
    Mutation("stages/progress.py", "finished += n", "finished += 1"),
    Mutation("stages/resolve.py", "path.suffix == suffix and path.stem not in names", "path.stem not in names"),
    Mutation("stages/resolve.py", "for file in path.iterdir()} <= files", "for file in path.iterdir()} >= files"),
    Mutation("stages/__init__.py", "return 1\n    except KeyboardInterrupt", "return 0\n    except KeyboardInterrupt"),
    # cluster; what needs servers is mutated by hand
    Mutation("cluster/remote.py", "        del sys.modules[name]", "        pass"),
    Mutation("cluster/remote.py", "status.st_mode & 0o077", "False"),
    Mutation("training/gradient_descent.py", "KEPT_COPIES * len(record_at) * keep", "0"),
    # page; of the JavaScript see tests that need a browser
    Mutation("page/page.py", 'for letter in "<>&":', 'for letter in ">&":'),
    Mutation("page/javascript.py", "else repr(value)\n", 'else f"{value:.16g}"\n'),
    Mutation("page/content.py", "MODELS = 1_400", "MODELS = 2_400"),
    Mutation(
        "page/content.py", "if value is not None and math.isfinite(value) else None", "if value is not None else None"
    ),
    Mutation("page/content.py", "part[place]", "part[0]"),
    # replications
    Mutation("replications/paper.py", "measured > most or math.isnan(measured)", "measured > most"),
    Mutation("replications/paper.py", "measured < least or", "measured <= least or"),
    Mutation("replications/run.py", '"failed": passed.count("False")', '"failed": 0'),
    Mutation("replications/results.py", 'if row.passed == "False"', 'if row.passed == "no"'),
    Mutation("replications/results.py", "0.0 if abs(value) < ROUNDING else value", "value"),
    Mutation("replications/targets.py", " if name not in skipped", ""),
    Mutation("replications/targets.py", "            code |= code_of(", "            code_of("),
    # tracking
    Mutation(
        "tracking/publish.py",
        "if not finished or each.info.run_id != finished[0]",
        "if not finished or each.info.run_id == finished[0]",
    ),
    Mutation("tracking/publish.py", "if not store.is_local and (len", "if store.is_local and (len"),
    Mutation("tracking/publish.py", "_delete_models(store, info)  # saved", "pass  # saved"),
    Mutation("tracking/publish.py", "if left := [name", "if left := [] and [name"),
    Mutation("tracking/runs.py", "return seed in {P.comparison", "return seed not in {P.comparison"),
    Mutation("tracking/provenance.py", '"jobs", "reports", "docs', '"jobs", "docs'),
    Mutation("tracking/provenance.py", '"--is-shallow-repository") == "true"', '"--is-shallow-repository") != "true"'),
)


def killed(mutation: Mutation, root: Path) -> bool:
    """Whether a test fails in the copy `root` with the mutation; the copy is left as it was."""
    path = root / "pipeline" / mutation.file
    text = path.read_text(encoding="utf-8")
    tests = mutation.tests or mutation.file.partition("/")[0]
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", WITHOUT, f"tests/{tests}"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    finally:
        path.write_text(text, encoding="utf-8")
    if done.returncode not in (0, 1, 2):  # 2: a module cannot be imported
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode != 0


def main(folders: list[str]) -> int:
    """Run the mutations of these folders, or all; print the survivors."""
    chosen = [each for each in MUTATIONS if not folders or each.file.partition("/")[0] in folders]
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
        for mutation in chosen:
            begin = time.monotonic()
            dead = killed(mutation, root)
            print(
                f"{'killed  ' if dead else 'SURVIVED'} {time.monotonic() - begin:5.0f} s  {mutation.file}: {mutation.new}",
                flush=True,
            )
            if not dead:
                survivors.append(mutation)
    print(f"{len(chosen)} mutations, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
