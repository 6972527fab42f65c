"""The exception whose message is shown to the user, and the exit code of a command that may raise it."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """An error that the user can correct: its message, one sentence per problem, is printed without a traceback."""


def exit_code(command: Callable[[], object]) -> int:
    """Run a command. Returns its exit code: 0, or 1 with the message on stderr if it raises UserError."""
    try:
        command()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
