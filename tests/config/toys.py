"""Toy setups and small helpers for the tests of the configuration."""

import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from core.config import Config, loads
from core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Plain:
    """A setup without parameters."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A setup with one parameter of each type."""

    channel: int = field(default=20, metadata={"min": 2, "max": 500})
    sl_atr: float = field(default=2.0, metadata={"min": 0.1, "max": 20.0})
    ema_side: bool = True
    flavour: str = field(default="sweet", metadata={"choices": ("sweet", "sour")})


@dataclass(frozen=True, slots=True)
class Spec:
    """Params and default timeframes, as the registry of setups gives them."""

    params: type
    timeframes: tuple[str, ...]


SETUPS = {"alpha": Spec(Plain, ("5m", "15m", "1h")), "beta": Spec(Tuned, ("4h",))}


def load(text: str, env: dict[str, str] | None = None) -> Config:
    """Load a text with the toy setups and an empty environment."""
    return loads(text, SETUPS, env or {}, "toy.yaml")


def refusal(text: str, env: dict[str, str] | None = None) -> str:
    """The message with which a text is refused; fails the test if it is accepted."""
    try:
        load(text, env)
    except ConfigError as error:
        return str(error)
    raise AssertionError(f"accepted: {text!r}")


def mistakes(text: str) -> list[str]:
    """The lines of a refusal, without the heading that counts them."""
    return [line for line in refusal(text).splitlines() if not line.endswith("mistakes:")]


def nested(key: str, value: str) -> str:
    """YAML text, one line per level, that sets one dotted key."""
    names = key.split(".")
    lines = ["  " * depth + name + ":" for depth, name in enumerate(names)]
    return "\n".join(lines) + " " + value + "\n"


def leaves(cls: type = Config, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every key that holds a value: dotted key, type, limits. Setups and thresholds are left out."""
    hints = typing.get_type_hints(cls)
    for f in fields(cls):
        name, hint = (f"{key}.{f.name}" if key else f.name), hints[f.name]
        if is_dataclass(hint):
            yield from leaves(hint, name)
        elif f.name not in ("setups", "per_pair_tf", "per_regime"):
            yield name, hint, f.metadata
    if cls is Config:
        yield "signals.setups.beta.enabled", bool, {}
        yield "signals.setups.beta.timeframes", tuple[str, ...], {"choices": ("4h",), "min": 1}
        for f in fields(Tuned):
            yield f"signals.setups.beta.{f.name}", f.type, f.metadata
