"""The nearest name to a misspelt one."""

from collections.abc import Iterable
from difflib import SequenceMatcher


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name most like `word` (case does not count), or None when none comes close.

    Two swapped or one wrong letter is always close, however short the name.
    """
    best = max(sorted(names), key=lambda name: _likeness(word, name), default=None)
    return best if best is not None and _likeness(word, best) >= 0.6 else None


def suggestion(word: str, names: Iterable[str]) -> str:
    """`; did you mean X`, or nothing when no name comes close."""
    name = nearest(word, names)
    return f"; did you mean {name}" if name else ""


def _likeness(word: str, name: str) -> float:
    a, b = word.lower(), name.lower()
    same_letters = sorted(a) == sorted(b)
    return 1.0 if a == b else SequenceMatcher(None, a, b).ratio() + 0.3 * same_letters
