"""What one written scalar means for a key of a given type. A value that does not fit raises ConfigError."""

import math
import re
from collections.abc import Mapping
from typing import Any

from yaml.nodes import Node, ScalarNode

from core.config import yamltext
from core.config.names import suggestion
from core.errors import ConfigError

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


def read(node: Node, kind: type, limits: Mapping[str, Any]) -> Any:
    """The value of a scalar for a key of type `kind` (bool, int, float or str) within `limits`.

    Raises ConfigError that says what is allowed and what was found (not for a secret).
    """
    if not isinstance(node, ScalarNode) or yamltext.is_null(node):
        raise ConfigError(f"must be {allowed(kind, limits)}, not {yamltext.kind_of(node)}")
    odd = yamltext.odd_character(node.value)
    if odd:
        raise ConfigError(odd)
    if kind is str or "parse" in limits:
        return _text(node, limits)
    return _boolean(node) if kind is bool else _number(node, kind, limits)


def allowed(kind: type, limits: Mapping[str, Any]) -> str:
    """What a key takes, in words."""
    if "choices" in limits:
        return "one of " + ", ".join(limits["choices"])
    if kind is bool:
        return "true or false"
    if kind is str or "parse" in limits:
        return "a text"
    return ("a whole number" if kind is int else "a number") + _range(limits)


def _range(limits: Mapping[str, Any]) -> str:
    low, high, above = limits.get("min"), limits.get("max"), limits.get("above")
    if low is not None and high is not None:
        return f" from {low:g} to {high:.12g}"
    parts = [f"above {above:g}"] if above is not None else []
    parts += [f"at least {low:g}"] if low is not None else []
    parts += [f"at most {high:.12g}"] if high is not None else []
    return " " + ", ".join(parts) if parts else ""


def _found(node: ScalarNode, limits: Mapping[str, Any]) -> str:
    if limits.get("secret") or limits.get("quiet"):
        return "what is written"
    text = node.value if len(node.value) <= 60 else node.value[:57] + "..."
    return repr(text) if not yamltext.is_plain(node) or "\n" in text else text


def _boolean(node: ScalarNode) -> bool:
    if yamltext.is_plain(node) and node.value in ("true", "false"):
        return bool(node.value == "true")
    raise ConfigError(f"must be true or false (small letters, no quotes), not {_found(node, {})}")


def _number(node: ScalarNode, kind: type, limits: Mapping[str, Any]) -> int | float:
    form = _INT if kind is int else _FLOAT
    refusal = ConfigError(f"must be {allowed(kind, limits)}, not {_found(node, limits)}")
    if not yamltext.is_plain(node) or not form.fullmatch(node.value):
        raise refusal
    value = kind(node.value)
    if not _within(value, limits):
        raise refusal
    return value or kind(0)  # -0.0 is 0.0: equal values must look equal


def _within(value: float, limits: Mapping[str, Any]) -> bool:
    return bool(
        math.isfinite(value)
        and value >= limits.get("min", -math.inf)
        and value <= limits.get("max", math.inf)
        and value > limits.get("above", -math.inf)
    )


def _text(node: ScalarNode, limits: Mapping[str, Any]) -> Any:
    value = node.value
    if not value.strip() and not limits.get("empty"):
        raise ConfigError(f"must be {allowed(str, limits)}, not empty")
    if "choices" in limits and value not in limits["choices"]:
        near = suggestion(value, limits["choices"])
        raise ConfigError(f"must be {allowed(str, limits)}, not {_found(node, limits)}{near}")
    if yamltext.is_plain(node) and not limits.get("verbatim") and _is_number_or_bool(value):
        raise ConfigError(f"must be {allowed(str, limits)}, not {_found(node, limits)} "
                          "(put it in quotes if this text is meant)")
    return _parsed(node, limits) if "parse" in limits and value else value


def _is_number_or_bool(text: str) -> bool:
    return bool(_FLOAT.fullmatch(text) or text.lower() in ("true", "false"))


def _parsed(node: ScalarNode, limits: Mapping[str, Any]) -> Any:
    try:
        return limits["parse"](node.value)
    except ConfigError as error:
        raise ConfigError(f"{_found(node, limits)} is {error}") from None
