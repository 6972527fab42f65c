"""The memory of an audit."""

from pathlib import Path

import pytest

from tests.model_files import large_files


@pytest.mark.slow
@pytest.mark.parametrize("name", ["safetensors", "bfloat16"])
def test_the_audit_holds_one_layer_at_a_time(name: str, tmp_path: Path) -> None:
    """Four layers of 100 MB, in at most 1.2 times a layer and 200 MB; ten seconds each."""
    peak, limit, square = large_files.peak(name, 400, tmp_path, large_files.AUDIT)
    assert peak < limit
    assert abs(square - 1.0) < 0.01  # 1e6 draws: 3.5 standard errors are 0.005; cutting to bfloat16 takes 0.6 %
