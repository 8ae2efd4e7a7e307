"""Features of many candidates, computed once and asked for many times: they never change (rule 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.candles import Floats


@dataclass(slots=True)
class Table:
    """Rows of the feature table by signal id. parts: as they were added, each (n, k)."""

    place: dict[str, int] = field(default_factory=dict)
    parts: list[Floats] = field(default_factory=list)
    _joined: Floats | None = None

    def add(self, ids: Sequence[str], x: Floats) -> None:
        """Remember the features of some candidates, x (len(ids), k)."""
        first = len(self.place)
        self.place.update({id: first + i for i, id in enumerate(ids)})
        self.parts.append(x)
        self._joined = None

    def rows(self, ids: Sequence[str]) -> Floats | None:
        """The features of these candidates in their order, (len(ids), k); None where one is not there."""
        if not ids or any(id not in self.place for id in ids):
            return None
        if self._joined is None:
            self._joined = np.concatenate(self.parts)
        return self._joined[[self.place[id] for id in ids]]
