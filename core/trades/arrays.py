"""Orders and states as tables, for walking many plans at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.trades.lifecycle import Order, State

Table = NDArray[Any]

_TYPES: dict[Any, str] = {int: "<i8", float: "<f8", bool: "?"}


def _dtype(record: type) -> np.dtype[Any]:
    return np.dtype([(name, _TYPES[kind]) for name, kind in record.__annotations__.items()], align=True)


ORDER = _dtype(Order)
STATE = _dtype(State)


def pack_orders(orders: Sequence[Order]) -> Table:
    """Orders as an array of `ORDER`, shape (n,)."""
    return np.array(orders, dtype=ORDER) if orders else np.empty(0, ORDER)


def empty_states(n: int) -> Table:
    """Room for `n` final states."""
    return np.zeros(n, STATE)


def unpack_states(table: Table) -> list[State]:
    """The rows of an array of `STATE` as states of plain Python numbers."""
    return [State._make(row) for row in table.tolist()]
