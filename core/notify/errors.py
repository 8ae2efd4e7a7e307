"""What a channel may answer, beside the errors of the ground."""

from core.errors import Rejected, Transient


class Unknown(Transient):
    """The answer was lost after the request had left: the message may have been delivered.

    Whoever sends it again must label it as a repeat.
    """


class TextRejected(Rejected):
    """The channel is well but refuses this one text, as plain text too."""


class Unclear(Rejected):
    """Refused for a reason we do not know: it may be the chat, it may be the text."""


class Conflict(Rejected):
    """Another program reads this bot's messages at the same time."""
