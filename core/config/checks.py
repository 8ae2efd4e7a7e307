"""Checks that need more than one key. One whose keys already failed is left out: its answer would mislead."""

from pathlib import PurePath

from core.config.binder import Binder
from core.config.schema import Config
from core.timeframe import SOURCE


def run(binder: Binder, config: Config) -> None:
    """Record every contradiction between keys in `binder`."""
    for check in (_timeframes_are_derived, _derived_have_their_source, _setups_are_scanned, _lookback_holds_a_pivot,
                  _thresholds_say_something, _the_calibrator_lies_with_its_model, _telegram_has_its_secrets,
                  _each_chat_has_one_role):
        check(binder, config)


def _timeframes_are_derived(binder: Binder, config: Config) -> None:
    if binder.failed & {"timeframes", "data.derived_timeframes"}:
        return
    missing = [name for name in config.timeframes if name not in config.data.derived_timeframes]
    if missing:
        key = "timeframes" if binder.written("timeframes") else "data.derived_timeframes"
        binder.mistake(key, f"{', '.join(missing)} of timeframes is not in data.derived_timeframes; add it there")


def _derived_have_their_source(binder: Binder, config: Config) -> None:
    derived = config.data.derived_timeframes
    if "data.derived_timeframes" in binder.failed:
        return
    for name in derived:
        if SOURCE[name] not in ("1m", *derived):
            binder.mistake("data.derived_timeframes", f"{name} is built from {SOURCE[name]}, which is missing; add it")


def _setups_are_scanned(binder: Binder, config: Config) -> None:
    if "timeframes" in binder.failed:
        return
    for name, setup in config.signals.setups.items():
        missing = [tf for tf in setup.timeframes if tf not in config.timeframes]
        if missing:
            binder.mistake(f"signals.setups.{name}.timeframes",
                           f"{', '.join(missing)} is not in timeframes ({', '.join(config.timeframes)}); "
                           "add it there or take it out here")


def _lookback_holds_a_pivot(binder: Binder, config: Config) -> None:
    keys, signals = {"signals.lookback_candles", "signals.fibo.piv_window"}, config.signals
    least = 2 * signals.fibo.piv_window + 2
    if signals.lookback_candles < least and not binder.failed & keys:
        binder.mistake("signals.lookback_candles",
                       f"must be at least {least} with fibo.piv_window {signals.fibo.piv_window}, "
                       f"not {signals.lookback_candles}: no impulse would fit")


def _thresholds_say_something(binder: Binder, config: Config) -> None:
    meta = config.models.meta
    for key, table in (("per_pair_tf", meta.per_pair_tf), ("per_regime", meta.per_regime)):
        for outer, rows in table.items():
            for inner, row in rows.items():
                where = f"models.meta.{key}.{outer}.{inner}"
                if row.threshold is None and row.min_ev_pct is None and not _failed_below(binder, where):
                    binder.mistake(where, "says nothing; write threshold, min_ev_pct or both, or take it out")


def _the_calibrator_lies_with_its_model(binder: Binder, config: Config) -> None:
    # One folder holds both, signed together; a calibrator of another model would give wrong probabilities.
    meta, key = config.models.meta, "models.meta.calibration.path"
    same = PurePath(meta.calibration.path) == PurePath(meta.model_path)
    if binder.written(key) and not same and not binder.failed & {key, "models.meta.model_path"}:
        binder.mistake(key, f"must be models.meta.model_path ({meta.model_path}): the calibrator lies in its model's "
                            "folder; write the same or take it out")


def _failed_below(binder: Binder, key: str) -> bool:
    return any(failed.startswith(key) for failed in binder.failed)


def _telegram_has_its_secrets(binder: Binder, config: Config) -> None:
    telegram = config.notify.telegram
    for name, variable in (("bot_token", "TELEGRAM_BOT_TOKEN"), ("chat_id", "TELEGRAM_CHAT_ID")):
        key = f"notify.telegram.{name}"
        if telegram.enabled and not getattr(telegram, name) and key not in binder.failed:
            binder.mistake(key, f"is empty while notify.telegram.enabled is true; "
                                f"set the environment variable {variable}, or enabled: false")


def _each_chat_has_one_role(binder: Binder, config: Config) -> None:
    telegram, seen = config.notify.telegram, {config.notify.telegram.chat_id, config.notify.telegram.owner_id}
    for name in ("viewers", "channels"):
        key, chats = f"notify.telegram.{name}", getattr(telegram, name)
        if key not in binder.failed and seen.intersection(chats):
            binder.mistake(key, "names a chat that has a role already (chat_id, owner_id, viewers); "
                                "each chat has one role: take it out")
        seen.update(chats)
