"""Binds a tree of YAML nodes to the dataclasses of the schema and collects every mistake with its line."""

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from core.config import scalars, yamltext
from core.config.names import suggestion
from core.errors import ConfigError

Children = dict[str, Node]
Custom = Mapping[str, Callable[[str, Node], Any]]

FAILED = object()  # stands for a value that could not be used; its mistake is recorded


class Binder:
    """Collects mistakes while it binds; `failed` holds the dotted keys whose value could not be used.

    `places` maps a key's name to the dotted keys that end in it, to tell where a misplaced key
    belongs. `custom` maps a dotted key to the function that reads it instead.
    """

    def __init__(self, places: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.mistakes: list[tuple[int, str]] = []
        self.failed: set[str] = set()
        self.lines: dict[str, int] = {}
        self.custom: Custom = {}
        self._places = places or {}

    def mistake(self, key: str, message: str, line: int | None = None) -> None:
        """Record what is wrong with a dotted key, at its line or at that of the nearest key above it."""
        self.failed.add(key)
        self.mistakes.append((line or self.line(key), f"{key}: {message}"))

    def line(self, key: str) -> int:
        """Line where a dotted key is written; where it is not, that of the section it would stand in, or 1."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return self.lines.get(key, 1)

    def written(self, key: str) -> bool:
        """Whether the file holds this dotted key."""
        return key in self.lines

    def bind(self, cls: type, key: str, node: Node | None) -> Any:
        """An instance of dataclass `cls` from a mapping node; what is missing or wrong takes its default."""
        known = {f.name: f for f in fields(cls)}
        children = self.children(key, node, known) if node is not None else {}
        return self.build(cls, key, children)

    def build(self, cls: type, key: str, children: Children) -> Any:
        """An instance of dataclass `cls` from the nodes of its keys. None if a key without default is missing."""
        hints = typing.get_type_hints(cls)
        values = {}
        for f in fields(cls):
            value = self._value(f, hints[f.name], join(key, f.name), children.get(f.name))
            if value is not FAILED:
                values[f.name] = value
        if any(f.name not in values and _required(f) for f in fields(cls)):
            return None
        try:
            return cls(**values)
        except (ValueError, ConfigError) as error:  # a check of the dataclass's own
            self.mistake(key, str(error))
            return None

    def children(self, key: str, node: Node, known: Iterable[str]) -> Children:
        """The nodes of a mapping by key; unknown, doubled and odd keys are recorded as mistakes."""
        if not isinstance(node, MappingNode):
            self.mistake(key, f"must have keys under it ({', '.join(known)}), not {yamltext.kind_of(node)}")
            return {}
        found: Children = {}
        for name_node, child in node.value:
            name = self._name(key, name_node)
            if name is None:
                continue
            if name in found:
                first = self.lines[join(key, name)]
                self.mistake(join(key, name), f"written twice, first in line {first}; keep one",
                             yamltext.line_of(name_node))
            elif name not in known:
                self._unknown(key, name, known, yamltext.line_of(name_node))
            else:
                found[name] = child
                self.lines[join(key, name)] = yamltext.line_of(name_node)
        return found

    def scalar(self, key: str, node: Node, kind: type, limits: Mapping[str, Any]) -> Any:
        """The value of one scalar, or a recorded mistake and the failure mark."""
        try:
            return scalars.read(node, kind, limits)
        except ConfigError as error:
            self.mistake(key, str(error), yamltext.line_of(node))
            return FAILED

    def texts(self, key: str, node: Node, limits: Mapping[str, Any]) -> Any:
        """A tuple of distinct texts from a list; in the order of `choices` where there are any."""
        item = {name: limits[name] for name in ("choices", "parse", "verbatim", "secret") if name in limits}
        if not isinstance(node, SequenceNode):
            self.mistake(key, f"must be a list such as [{_example(item)}], not {yamltext.kind_of(node)}",
                         yamltext.line_of(node))
            return FAILED
        values = [self.scalar(f"{key}[{i}]", child, str, item) for i, child in enumerate(node.value)]
        if any(value is FAILED for value in values) or not self._count_fits(key, node, limits):
            self.failed.add(key)
            return FAILED
        return self._distinct(key, node, values, limits)

    def _distinct(self, key: str, node: SequenceNode, values: list[str], limits: Mapping[str, Any]) -> Any:
        order: tuple[str, ...] | None = limits.get("choices")
        for i, value in enumerate(values):
            if value in values[:i]:
                what = f"entry {i + 1}" if limits.get("secret") else value
                self.mistake(key, f"{what} stands in the list twice", yamltext.line_of(node.value[i]))
                return FAILED
        return tuple(values) if order is None else tuple(sorted(values, key=order.index))

    def _count_fits(self, key: str, node: SequenceNode, limits: Mapping[str, Any]) -> bool:
        low, high = limits.get("min", 0), limits.get("max", len(node.value))
        if low <= len(node.value) <= high:
            return True
        text = f"{low} to {high}" if "max" in limits else f"at least {low}"
        self.mistake(key, f"must have {text} entries, not {len(node.value)}", yamltext.line_of(node))
        return False

    def _value(self, f: Field[Any], hint: Any, key: str, node: Node | None) -> Any:
        if key in self.custom:
            return self.custom[key](key, node) if node is not None else FAILED
        if is_dataclass(hint) and isinstance(hint, type):
            return self.bind(hint, key, node)
        if node is None:
            if _required(f):
                self.mistake(key, f"is missing; it has no default, write {scalars.allowed(hint, f.metadata)}")
            return FAILED
        if typing.get_origin(hint) is tuple:
            return self.texts(key, node, f.metadata)
        kind, optional = _optional(hint)
        if optional and yamltext.is_null(node):
            return None
        return self.scalar(key, node, kind, f.metadata)

    def _name(self, key: str, node: Node) -> str | None:
        line = yamltext.line_of(node)
        if not isinstance(node, ScalarNode):
            self.mistake(key or "(root)", "has a key that is not a plain name", line)
            return None
        odd = yamltext.odd_character(node.value)
        if odd:
            self.mistake(join(key, ascii(node.value)), f"the key has {odd}", line)
            return None
        return str(node.value)

    def _unknown(self, key: str, name: str, known: Iterable[str], line: int) -> None:
        # A name that is right elsewhere is misplaced rather than misspelt.
        elsewhere = " or ".join(self._places.get(name, ()))
        near = f"; it belongs at {elsewhere}" if elsewhere else suggestion(name, known)
        self.mistake(join(key, name), f"unknown key{near}; allowed here: {', '.join(known) or 'nothing'}", line)


def join(key: str, name: str) -> str:
    """Dotted key of `name` under `key`."""
    return f"{key}.{name}" if key else name


def dotted_keys(cls: type, key: str = "") -> list[str]:
    """Every dotted key of a tree of dataclasses, sections included, in order."""
    hints, keys = typing.get_type_hints(cls), []
    for f in fields(cls):
        name, hint = join(key, f.name), hints[f.name]
        keys.append(name)
        if is_dataclass(hint) and isinstance(hint, type):
            keys += dotted_keys(hint, name)
    return keys


def _required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _optional(hint: Any) -> tuple[type, bool]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0], True
    return hint, False


def _example(item: Mapping[str, Any]) -> str:
    if item.get("secret"):
        return "12345678, 23456789"
    return ", ".join(item["choices"][:2]) if "choices" in item else "BTC/USDT:USDT, ETH/USDT:USDT"
