"""What a stage's command prints, and its exit code."""

from collections.abc import Callable

import pytest

from pipeline.errors import UserError
from pipeline.stages import run, train


def failing(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_success_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("data/train.csv is damaged."), "data/train.csv is damaged."),
        (
            MemoryError("Unable to allocate 3 GiB"),
            "Out of memory (Unable to allocate 3 GiB); choose smaller network.hidden_sizes or fewer seeds.",
        ),
        (MemoryError(), "Out of memory (no details are known); choose smaller network.hidden_sizes or fewer seeds."),
    ],
)
def test_what_the_user_can_correct_is_one_line_and_exit_code_1(
    error: BaseException, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing(error)) == 1
    assert capsys.readouterr() == ("", f"{message}\n")


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(failing(ZeroDivisionError()))


def test_the_initializer_is_a_required_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        train.main([])
    assert "python -m pipeline.stages.train: error: the following arguments are required: --initializer" in (
        capsys.readouterr().err
    )
