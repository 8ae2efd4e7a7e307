"""What time it is at the exchange, whatever the machine's clock says."""

from core.clock import Clock

FRESH_S = 600.0
RETRY_S = 30.0
STEP_MS = 1000


class ServerTime:
    """The exchange's time, carried on by the monotonic clock from the last measurement.

    It never runs ahead: the server read its clock before its answer arrived. A step of the
    machine's wall clock does not move it, but makes it stale. Before the first measurement it is
    the machine's own time and not `known`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._server = self._wall = clock.now()
        self._mono = clock.monotonic()
        self._not_before = float("-inf")
        self.known = False
        self.offset_ms: int | None = None

    def now(self) -> int:
        """Time at the exchange, int ms UTC, or a little less."""
        return self._server + self._since() if self.known else self._clock.now()

    def stale(self) -> bool:
        """Tell whether a measurement is due: by age, or because the machine's clock stepped or slept."""
        if not self.known:
            return True
        stepped = abs(self._clock.now() - self._wall - self._since()) > STEP_MS
        mono = self._clock.monotonic()
        return mono >= self._not_before and (stepped or mono - self._mono >= FRESH_S)

    def measured(self, server: int, sent_wall: int) -> None:
        """Take a measurement: `server` ms just answered to a request sent at `sent_wall` (our clock)."""
        self._server, self._wall, self._mono = server, self._clock.now(), self._clock.monotonic()
        self._not_before = float("-inf")
        self.offset_ms = server - (sent_wall + self._wall) // 2
        self.known = True

    def failed(self) -> None:
        """Note that a measurement failed: the old one serves on, and is tried again a little later."""
        self._not_before = self._clock.monotonic() + RETRY_S

    def _since(self) -> int:
        return int((self._clock.monotonic() - self._mono) * 1000 + 0.01)  # floor, but for float noise
