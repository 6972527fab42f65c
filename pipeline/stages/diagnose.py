"""Stage `diagnose`: what the models of one initializer are like before the first step, one for each seed.

`python -m pipeline.stages.diagnose --initializer he` writes births/he.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from pipeline.config import params
from pipeline.diagnostics import measure
from pipeline.initializers import recipes
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.networks import kernel
from pipeline.networks.parameters import stack
from pipeline.numerics.sums import integer_sum
from pipeline.stages import require_memory
from pipeline.storage import measurements, samples
from pipeline.training import executors

COMPILING = "Compiling the products for this processor; that takes some seconds and is kept for the next time."
AT_ONCE = 2**22  # weights of the models that are measured as one stack: 32 MB, or one model


def diagnose(name: str) -> None:
    """Measure the newborn models of the initializer `name`."""
    P = params.load()
    if name not in P.initializers:
        raise params.ParamsError(f"params.yaml: initializers has no {name}; it has {', '.join(P.initializers)}.")
    X, Y = samples.read_samples(samples.DATA / "train.csv", P.data.n_train, P.data.n_inputs, P.data.n_classes)
    require_memory(P, 1)
    birth = NetworkSpec(P.layers_dims, P.network.activations, X)
    size = max(1, AT_ONCE // integer_sum(fan_in * fan_out for fan_in, fan_out in birth.fans))
    parts = [P.seeds[start : start + size] for start in range(0, len(P.seeds), size)]

    def measured(seeds: Sequence[int]) -> measure.Measurements:
        born = stack([recipes.sample_parameters(P.initializers[name], seed, birth) for seed in seeds])
        return measure.measure(born, X, Y, P.network.activations)

    with (
        kernel.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
        ThreadPoolExecutor(executors.n_cores()) as threads,
    ):
        found = threads.map(measured, parts)
        told = list(tqdm(found, total=len(parts), desc=name, leave=False, disable=None if len(parts) > 1 else True))
    B = measure.concatenate(told)
    measurements.write_measurements(name, P.seeds, B.layers, B.models, {"z": B.Z_counts, "a": B.A_counts}, B.dead)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.stages.diagnose", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--initializer", required=True, metavar="NAME", help="a name under `initializers` in params.yaml"
    )
    diagnose(parser.parse_args(arguments).initializer)


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(main))
