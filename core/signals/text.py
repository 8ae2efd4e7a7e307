"""Numbers as people read them."""

from decimal import Decimal


def number(value: float, digits: int = 10) -> str:
    """Up to `digits` significant digits, no trailing zeros, never an exponent."""
    text = "%.*g" % (digits, value)  # noqa: UP031 (several times faster than a nested format)
    return format(Decimal(text), "f") if "e" in text else text


def counted(n: int, one: str, many: str | None = None) -> str:
    """`1 gap`, `3 gaps`, `12,345 candles`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def told(value: float, limit: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits, more where fewer would put it on the limit or past it."""
    while digits < 17 and _side(float(number(value, digits)), limit) != _side(value, limit):
        digits += 1
    return number(value, digits)


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def size(n: float) -> str:
    """Bytes for people."""
    value = float(n)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GB"
