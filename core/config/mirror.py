"""Writes the tuned thresholds into the block `models.meta.per_pair_tf` of config.yaml, and touches nothing else."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from core.config import yamltext
from core.config.loader import Setups, loads
from core.config.schema import Threshold, Thresholds
from core.errors import ConfigError

SECTION = ("models", "meta")
KEY = "per_pair_tf"


def mirror_thresholds(
    path: str | Path, table: Thresholds, setups: Setups, env: Mapping[str, str] | None = None
) -> bool:
    """Replace the block in the file, atomically; every other byte stays. Returns whether the file changed.

    Raises ConfigError, and leaves the file alone, when it is wrong already or has no such section.
    """
    target = Path(os.path.realpath(path))
    old = yamltext.read(target)
    new = replace_thresholds(old, table, str(path))
    if loads(new, setups, env, str(path)).models.meta.per_pair_tf != table:
        raise ConfigError(f"{path}: {'.'.join(SECTION)}.{KEY} could not be rewritten; put `{KEY}: {{}}` there by hand")
    if new == old:
        return False
    _write_atomically(target, new)
    return True


def replace_thresholds(text: str, table: Thresholds, name: str = "config") -> str:
    """The text of a configuration with another `per_pair_tf`. Raises ConfigError where there is no place for it."""
    section = yamltext.parse(text, name)
    for key in SECTION:
        section = _child(section, key, name)[1]
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    place = _entry(section, KEY)
    if place is None:
        return _inserted(text, section, table, end_of_line, name)
    key_node, value = place
    if section.flow_style:
        return text[:value.start_mark.index] + _flow(table) + text[value.end_mark.index:]
    return _replaced(text, key_node, value, table, end_of_line)


def _replaced(text: str, key: Node, value: Node, table: Thresholds, end_of_line: str) -> str:
    # A value on the key's line: the comment behind it stays on that line. A block below it: up to its last value.
    block = _block(table, key.start_mark.column, end_of_line)
    if value.start_mark.line == key.start_mark.line:
        colon, end = _after_colon(text, key), value.end_mark.index
        stop = _line_end(text, end)
        comment = text[end:stop].rstrip()
        head = text[:colon] + ("" if table else " {}")
        return head + comment + block + text[stop:]
    colon = _after_colon(text, key)
    first, stop = _line_end(text, colon), _line_end(text, _last(value).end_mark.index)
    return text[:colon] + ("" if table else " {}") + text[colon:first] + block + text[stop:]


def _inserted(text: str, section: MappingNode, table: Thresholds, end_of_line: str, name: str) -> str:
    if section.flow_style or not section.value:
        raise ConfigError(f"{name}, line {yamltext.line_of(section)}: {'.'.join(SECTION)}: "
                          f"no place for {KEY}; write `{KEY}: {{}}` there")
    column = section.value[0][0].start_mark.column
    start = section.value[0][0].start_mark.index - column
    line = " " * column + KEY + ":" + ("" if table else " {}") + _block(table, column, end_of_line) + end_of_line
    return text[:start] + line + text[start:]


def _block(table: Thresholds, column: int, end_of_line: str) -> str:
    lines = []
    for symbol, rows in table.items():
        lines.append(" " * (column + 2) + f"{symbol}:")
        lines += [" " * (column + 4) + f"{timeframe}: {_row(row)}" for timeframe, row in rows.items()]
    return "".join(end_of_line + line for line in lines)


def _flow(table: Thresholds) -> str:
    rows = {symbol: ", ".join(f"{tf}: {_row(row)}" for tf, row in table[symbol].items()) for symbol in table}
    return "{" + ", ".join(f"{symbol}: {{{row}}}" for symbol, row in rows.items()) + "}"


def _row(row: Threshold) -> str:
    values = ((f.name, getattr(row, f.name)) for f in fields(row))
    return "{" + ", ".join(f"{name}: {float(value)!r}" for name, value in values if value is not None) + "}"


def _child(section: MappingNode, key: str, name: str) -> tuple[Node, MappingNode]:
    found = _entry(section, key)
    if found is None or not isinstance(found[1], MappingNode):
        raise ConfigError(f"{name}, line {yamltext.line_of(section)}: {'.'.join(SECTION)} is not written there, "
                          f"so no place for {KEY}; write it with `{KEY}: {{}}`")
    return found[0], found[1]


def _entry(section: MappingNode, key: str) -> tuple[Node, Node] | None:
    return next(((k, v) for k, v in section.value if isinstance(k, ScalarNode) and k.value == key), None)


def _after_colon(text: str, key: Node) -> int:
    return text.index(":", key.end_mark.index) + 1


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" else end


def _last(node: Node) -> Node:
    # A block's own end mark lies at the next key, behind comments that belong there.
    if isinstance(node, CollectionNode) and node.value and not node.flow_style:
        tail = node.value[-1]
        return _last(tail[1] if isinstance(tail, tuple) else tail)
    return node


def _write_atomically(target: Path, text: str) -> None:
    bom = b"\xef\xbb\xbf" if target.read_bytes().startswith(b"\xef\xbb\xbf") else b""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bom + text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)  # there only if something went wrong before
