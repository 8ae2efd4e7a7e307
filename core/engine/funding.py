"""What trades pay for holding: one symbol's rates as the money of its trades needs them (rule 27)."""

from bisect import bisect_right

from core.engine.params import Terms
from core.store import candles, funding
from core.store.candles import Con
from core.trades.lifecycle import TP, Order, State
from core.trades.results import funding_known, funding_pct


class Book:
    """Rates of one symbol after `since`, read once for many trades.

    fetched_through: the time up to which sync has asked for rates, None where it never did.
    """

    def __init__(
        self, con: Con, exchange: str, symbol: str, minutes: int, fetched_through: int | None, since: int
    ) -> None:
        """minutes: id of the symbol's 1m series, for the price at a settlement."""
        self._con, self._minutes = con, minutes
        self._rates = funding.rates(con, exchange, symbol, since)
        self._times = [ts for ts, _ in self._rates]
        self._first, self._last = funding.bounds(con, exchange, symbol)
        self._through = fetched_through if fetched_through is not None else -1

    def paid(self, order: Order, state: State, terms: Terms) -> tuple[float, bool]:
        """Funding paid by an ended trade, percent of its notional, and whether all of it is known.

        (0, False) while it lives, where it was never filled, and where funding is not counted.
        """
        if state.status < TP or state.fill == 0.0 or not terms.funding:
            return 0.0, False
        due = self._rates[bisect_right(self._times, state.opened_ts) : bisect_right(self._times, state.closed_ts)]
        priced = [
            (ts, rate, price)
            for ts, rate in due
            if (price := candles.price_at(self._con, self._minutes, ts)) is not None
        ]
        return funding_pct(order, state, priced), funding_known(state, self._first, self._last, self._through)
