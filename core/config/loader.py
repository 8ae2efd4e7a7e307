"""Loads config.yaml once, strictly, into frozen dataclasses; no dict travels past here."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol

from yaml.nodes import MappingNode, Node, ScalarNode

from core.config import checks, values, yamltext
from core.config.binder import FAILED, Binder, dotted_keys, join
from core.config.frozenmap import FrozenMap
from core.config.schema import Config, SetupConfig, Threshold
from core.errors import ConfigError
from core.timeframe import DERIVED

TOKEN_ENV = "TELEGRAM_BOT_TOKEN"
CHAT_ENV = "TELEGRAM_CHAT_ID"

TRENDS = ("trend", "range")
VOLATILITIES = ("low", "normal", "high")

_SETUP_KEYS = {"enabled": bool, "timeframes": tuple}
_TOKEN_LIKE = re.compile(r"\d{5,}:[\w-]{20,}")


class SetupSpec(Protocol):
    """What the loader needs to know of a setup: its params dataclass and its default timeframes."""

    @property
    def params(self) -> type: ...
    @property
    def timeframes(self) -> tuple[str, ...]: ...


Setups = Mapping[str, type | SetupSpec]


def load(path: str | Path, setups: Setups, env: Mapping[str, str] | None = None) -> Config:
    """Read, check and freeze a configuration file.

    setups: name -> params dataclass, or anything with `.params` and `.timeframes` (the registry).
    env: where the Telegram secrets may come from; os.environ unless given.
    Raises ConfigError that lists every mistake, one line each, with dotted key, line and what is allowed.
    """
    return loads(yamltext.read(path), setups, env, str(path))


def loads(text: str, setups: Setups, env: Mapping[str, str] | None = None, name: str = "config") -> Config:
    """As `load`, from the text of a file; `name` stands in the messages."""
    root = yamltext.parse(text, name)
    binder = Binder(_places())
    config = _bind(binder, root, setups)
    config = _with_secrets(config, os.environ if env is None else env)
    checks.run(binder, config)
    if binder.mistakes:
        raise ConfigError(_report(name, binder.mistakes))
    return config


def defaults(setups: Setups) -> Config:
    """The documented defaults, every setup enabled on its own timeframes."""
    return loads("{}", setups, {})


def _bind(binder: Binder, root: MappingNode, setups: Setups) -> Config:
    nodes: dict[str, Node] = {}
    binder.custom = {
        "signals.setups": _keep(nodes),  # read last: it needs the timeframes
        "models.meta.per_pair_tf": lambda key, node: _thresholds(binder, key, node, None, DERIVED),
        "models.meta.per_regime": lambda key, node: _thresholds(binder, key, node, TRENDS, VOLATILITIES),
    }
    config: Config = binder.bind(Config, "", root)
    table = _setups(binder, "signals.setups", nodes.get("signals.setups"), setups, config.timeframes)
    return replace(config, signals=replace(config.signals, setups=FrozenMap(table)))


def _keep(nodes: dict[str, Node]) -> Callable[[str, Node], Any]:
    def keep(key: str, node: Node) -> Any:
        nodes[key] = node
        return FAILED

    return keep


def _setups(
    binder: Binder, key: str, node: Node | None, setups: Setups, scanned: tuple[str, ...]
) -> dict[str, SetupConfig]:
    children = binder.children(key, node, setups) if node is not None else {}
    table = {name: _setup(binder, join(key, name), children.get(name), spec, scanned)
             for name, spec in setups.items()}
    return {name: setup for name, setup in table.items() if setup is not None}


def _setup(
    binder: Binder, key: str, node: Node | None, spec: type | SetupSpec, scanned: tuple[str, ...]
) -> SetupConfig | None:
    params = spec if isinstance(spec, type) else spec.params
    names = [*_SETUP_KEYS, *(f.name for f in fields(params))]
    children = binder.children(key, node, names) if node is not None else {}
    enabled = binder.scalar(join(key, "enabled"), children["enabled"], bool, {}) if "enabled" in children else True
    own = {name: child for name, child in children.items() if name not in _SETUP_KEYS}
    values_of_setup = binder.build(params, key, own)
    timeframes = _setup_timeframes(binder, join(key, "timeframes"), children, spec, scanned)
    if enabled is not True or not timeframes or values_of_setup is None:
        return None
    return SetupConfig(timeframes, values_of_setup)


def _setup_timeframes(
    binder: Binder, key: str, children: Mapping[str, Node], spec: type | SetupSpec, scanned: tuple[str, ...]
) -> tuple[str, ...]:
    # Not written: those of its own timeframes that are scanned at all. Written: must be scanned (checks.py).
    if "timeframes" not in children:
        own = scanned if isinstance(spec, type) else spec.timeframes
        return tuple(name for name in scanned if name in own)
    found = binder.texts(key, children["timeframes"], {"choices": DERIVED, "min": 1})
    return () if found is FAILED else found


def _thresholds(
    binder: Binder, key: str, node: Node, outer: tuple[str, ...] | None, inner: tuple[str, ...]
) -> Any:
    names = _symbol_names(binder, key, node) if outer is None else outer
    table = {}
    for name, child in binder.children(key, node, names).items():
        rows = binder.children(join(key, name), child, inner)
        table[name] = FrozenMap({row: binder.bind(Threshold, join(join(key, name), row), at)
                                 for row, at in rows.items()})
    return FrozenMap(table)


def _symbol_names(binder: Binder, key: str, node: Node) -> list[str]:
    # Any well-formed symbol may stand here: one taken out of `symbols` may still have open plans.
    names = [name for name, _ in node.value if isinstance(name, ScalarNode)] if isinstance(node, MappingNode) else []
    for name in names:
        binder.scalar(join(key, name.value), name, str, {"parse": values.symbol})
    return [name.value for name in names]


def _with_secrets(config: Config, env: Mapping[str, str]) -> Config:
    telegram = config.notify.telegram
    try:
        token = values.token(env.get(TOKEN_ENV, "").strip()) or telegram.bot_token
    except ConfigError as error:
        raise ConfigError(f"environment variable {TOKEN_ENV}: {error}") from None
    chat = env.get(CHAT_ENV, "").strip() or telegram.chat_id
    return replace(config, notify=replace(config.notify, telegram=replace(telegram, bot_token=token, chat_id=chat)))


def _places() -> dict[str, tuple[str, ...]]:
    places: dict[str, list[str]] = {}
    for key in dotted_keys(Config):
        places.setdefault(key.rpartition(".")[2], []).append(key)
    return {name: tuple(keys) for name, keys in places.items()}


def _report(name: str, mistakes: list[tuple[int, str]]) -> str:
    lines = [f"{name}, line {line}: {text}" for line, text in sorted(mistakes)]
    head = [f"{name} has {len(lines)} mistakes:"] if len(lines) > 1 else []
    return _TOKEN_LIKE.sub("(hidden)", "\n".join(head + lines))
