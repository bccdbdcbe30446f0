"""The exception for errors that the user can fix: the command line prints it in one line."""


class UsageError(ValueError):
    """Something outside the program is wrong (a path, a file, a name); the message says what."""
