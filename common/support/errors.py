"""The one exception for what a person can put right: the command line prints it in one line."""


class UsageError(ValueError):
    """Something outside the program is wrong (a path, a file, a name); the text says."""
