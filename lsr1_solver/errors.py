"""The one exception family of the solver."""


class FitError(Exception):
    """Something the user can put right: the message says what is wrong, where, and what to do."""
