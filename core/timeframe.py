"""Timeframes and times: the one place that knows how bars lie on the time axis.

A timestamp is an int of milliseconds UTC, the open of its bar. A bar of timeframe `tf` opened at
`t` is final at `t + tf`.
"""

from datetime import UTC, datetime

from core.errors import ConfigError

SECOND = 1_000
MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000

# Ascending; each is built from the one before it (RULES.md 4).
TIMEFRAMES: dict[str, int] = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "1d": DAY,
}
NAMES: dict[int, str] = {ms: name for name, ms in TIMEFRAMES.items()}
DERIVED: tuple[str, ...] = tuple(TIMEFRAMES)[1:]
SOURCE: dict[str, str] = dict(zip(DERIVED, TIMEFRAMES, strict=False))

_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def ms(name: str) -> int:
    """Length of a timeframe in ms. Raises ConfigError for a name that is not a timeframe."""
    try:
        return TIMEFRAMES[name]
    except KeyError:
        raise ConfigError(f"unknown timeframe {name!r}: use one of {', '.join(TIMEFRAMES)}") from None


def floor(ts: int, tf: int) -> int:
    """Open of the bar of length `tf` (ms) that holds `ts`; all bars start at the epoch's grid."""
    return ts - ts % tf


def ceil(ts: int, tf: int) -> int:
    """First bar open at or after `ts`."""
    return -(-ts // tf) * tf


def parse_time(text: str) -> int:
    """UTC date or time as written by a user (`2024-01-31`, `2024-01-31T12:30`, or ms) to ms.

    Raises ConfigError that names the accepted forms.
    """
    text = text.strip().removesuffix("Z")
    if text.isdigit() and len(text) >= 12:
        return int(text)
    for form in _FORMATS:
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            continue
    raise ConfigError(f"not a UTC date or time: {text!r} (write 2024-01-31 or 2024-01-31T12:30)")


def parse_span(text: str) -> int:
    """A duration as written by a user (`90m`, `36h`, `3d`, `2w`) to ms. Raises ConfigError."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit in _UNITS and number.isdigit() and int(number) > 0:
        return int(number) * _UNITS[unit]
    raise ConfigError(f"not a duration: {text!r} (write 90m, 36h, 3d or 2w)")


def show_time(ts: int | None) -> str:
    """`2024-01-31 12:30Z`, or `-` for None."""
    if ts is None:
        return "-"
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")


def show_span(duration: int) -> str:
    """A duration in ms in its two largest units: `2d 3h`, `45m`, `12s`."""
    rest, parts = max(0, duration) // 1000, []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        n, rest = divmod(rest, size)
        if n:
            parts.append(f"{n}{unit}")
    return " ".join(parts[:2]) or "0s"
