"""The exception whose message is shown to the user."""


class UserError(Exception):
    """An error that the user can correct: its message, one sentence per problem, is printed without a traceback."""
