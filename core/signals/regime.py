"""What kind of market a decision falls into (rule 6)."""

ADX_PERIOD = 14
TREND_ADX = 25.0
VOL_WINDOW = 300
VOL_LOW_PCT = 33
VOL_HIGH_PCT = 67


def trend_of(adx: float) -> str:
    """`trend` from an ADX of 25 on, else `range`; no ADX (NaN) is `range`."""
    return "trend" if adx >= TREND_ADX else "range"


def vol_of(below: int, count: int) -> str:
    """`low`, `normal` or `high` by how many of `count` ATR % values lie strictly below the current one."""
    if below * 100 < VOL_LOW_PCT * count:
        return "low"
    return "high" if below * 100 >= VOL_HIGH_PCT * count else "normal"
