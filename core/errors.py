"""Errors that answer one question: who must act?

ConfigError   the user edits the configuration or the command line
DataError     the data are wrong: refuse them, keep the rest, tell the user
Transient     nobody: wait and try again (after `retry_after` seconds where known)
Rejected      the other side refuses this one thing for good (a delisted symbol, a bad chat id)
ArtifactError a file of ours (model, database, backup) cannot be used: the user replaces it
LockHeld      another process writes: the user stops it or works on a copy
"""


class TraderError(Exception):
    """Root of all errors this program raises on purpose."""


class ConfigError(TraderError):
    """The configuration or a command-line argument is wrong; the message says how to mend it."""


class DataError(TraderError):
    """Data are inconsistent or impossible and were refused."""


class Transient(TraderError):
    """A passing fault of the outside world: retry, after `retry_after` seconds where it is known."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(TraderError):
    """The other side refuses this request for good; retrying cannot help."""


class ArtifactError(TraderError):
    """A database, model or backup file is corrupt, foreign or newer than this program."""


class LockHeld(TraderError):
    """Another process holds the writer's lock."""
