"""From the bytes of a YAML file to a tree of nodes with line numbers, every scalar still as it was written.

PyYAML only cuts the text into nodes here; what a scalar means is decided later by the key it stands
under. So YAML 1.1 cannot turn `ON` into a boolean, `12:30` into 750 or `010` into 8.
"""

from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from core.errors import ConfigError

MAX_BYTES = 1_000_000

_CURLY = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"
_INVISIBLE = "\u00a0\u00ad\u200b\u200c\u200d\u2028\u2029\u2060\u202f\u3000\ufeff"


def read(path: str | Path) -> str:
    """Text of a file. Raises ConfigError when it is missing, unreadable, too large or not UTF-8."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; name one with --config, or copy the config.yaml that came along"
                          ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> str:
    """Text of the bytes of a file. Raises ConfigError with the line of the first bad byte."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES} bytes, so not a configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}, line {line}: not UTF-8 text; save the file as UTF-8") from None


def parse(text: str, name: str) -> MappingNode:
    """The mapping at the root of the text. Raises ConfigError with the line of the first fault."""
    _refuse_tabs(text, name)
    root = _compose(text, name)
    if root is None or is_null(root):
        raise ConfigError(f"{name}, line 1: the file is empty; copy the config.yaml that came along")
    if not isinstance(root, MappingNode):
        raise ConfigError(f"{name}, line {line_of(root)}: must be keys and values such as `timeframes: [5m, 15m]`, "
                          f"not {_root_kind(root)}")
    return root


def line_of(node: Node) -> int:
    """Line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def kind_of(node: Node) -> str:
    """What a node is, in plain words."""
    if isinstance(node, MappingNode):
        return "keys and values"
    if isinstance(node, SequenceNode):
        return "a list"
    return "nothing" if is_null(node) else "one value"


def is_plain(node: Node) -> bool:
    """Whether a scalar was written without quotes."""
    return isinstance(node, ScalarNode) and node.style is None


def is_null(node: Node) -> bool:
    """Whether a scalar means "no value"."""
    return is_plain(node) and node.value in ("", "~", "null", "Null", "NULL")


def odd_character(text: str) -> str | None:
    """Why a text cannot have been meant as it stands, or None: curly quotes, invisible or impossible characters."""
    if text and (text[0] in _CURLY or text[-1] in _CURLY):
        return "curly quotation marks; write straight ones (\" or ')"
    if any(c in _INVISIBLE or (ord(c) < 32 and c not in "\n\t") or 0xD800 <= ord(c) < 0xE000 for c in text):
        return "an invisible or impossible character in it; type the line again"
    return None


def _root_kind(root: Node) -> str:
    text = root.value if isinstance(root, ScalarNode) else ""
    odd = odd_character(text)
    if odd:
        return f"one text with {odd}"
    return kind_of(root) + ("; a colon needs a space after it" if ":" in text else "")


def _refuse_tabs(text: str, name: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.lstrip()
        if "\t" in line[: len(line) - len(content)] and content and not content.startswith("#"):
            raise ConfigError(f"{name}, line {number}: a tab in the indentation; use spaces")


class _Loader(yaml.SafeLoader):
    """Composes nodes only, and refuses what can make one text stand in two places or run a constructor."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, AliasEvent):
            self._refuse("an alias (*)", event)
        if getattr(event, "anchor", None) is not None:
            self._refuse("an anchor (&)", event)
        if getattr(event, "tag", None) is not None:
            self._refuse("a tag (!)", event)
        return super().compose_node(parent, index)  # type: ignore[no-any-return, no-untyped-call]

    @staticmethod
    def _refuse(what: str, event: Any) -> None:
        raise yaml.MarkedYAMLError(
            problem=f"{what} is not allowed; write the value out, in quotes if it starts with this character",
            problem_mark=event.start_mark,
        )


def _compose(text: str, name: str) -> Node | None:
    line = 1
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()  # type: ignore[no-any-return, no-untyped-call]
        except (ValueError, OverflowError):  # PyYAML on an escape such as "\\UFFFFFFFF"
            line = loader.get_mark().line + 1  # type: ignore[no-untyped-call]
    except yaml.YAMLError as error:
        raise _translated(error, text, name) from error
    except RecursionError:
        raise ConfigError(f"{name}, line 1: nested too deeply to be a configuration") from None
    raise ConfigError(f"{name}, line {line}: an impossible character written as an escape")


def _translated(error: yaml.YAMLError, text: str, name: str) -> ConfigError:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return ConfigError(f"{name}, line {line}: a character that YAML does not allow")
    if not isinstance(error, yaml.MarkedYAMLError):
        return ConfigError(f"{name}, line 1: not YAML")
    # Where a colon is missing the problem is noticed a line too late; the context has the key's line.
    late = "could not find expected ':'" in (error.problem or "")
    mark = (error.context_mark if late else None) or error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    return ConfigError(f"{name}, line {line}: not YAML: {_problem(error)}")


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if "\\t" in problem:
        return "a tab where a value should start; use spaces"
    if "mapping values are not allowed" in problem:
        return ("a second `: ` on this line (put such a text in quotes), wrong indentation, "
                "or a line above without its colon")
    if "could not find expected ':'" in problem:
        return "a key without a colon and a space"
    if "but found another document" in problem:
        return "a second document (---); the configuration is one"
    if "expected <block end>" in problem and error.context_mark is not None:
        return f"wrong indentation; it does not line up with the section begun in line {error.context_mark.line + 1}"
    if error.context_mark is not None and error.context:
        return f"{error.context} (line {error.context_mark.line + 1}): {problem}"
    return problem
