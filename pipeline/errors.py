"""The error that carries a message for the user."""


class UserError(Exception):
    """Something that the user can mend. The message is one sentence for each problem, and all that is shown."""
