"""The memory of an audit."""

from pathlib import Path

import pytest

from tests.model_files import large_files


@pytest.mark.slow
def test_the_audit_holds_one_layer_at_a_time(tmp_path: Path) -> None:
    """Four layers of 100 MB, in at most 1.2 times a layer and 200 MB; twenty seconds."""
    peak, limit, square = large_files.peak("safetensors", 400, tmp_path, large_files.AUDIT)
    assert peak < limit
    assert abs(square - 1.0) < 0.005  # 1e6 draws: 3.5 standard errors
