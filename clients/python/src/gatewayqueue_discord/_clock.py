"""How long something is ago, by whichever clock says the most."""

from __future__ import annotations

import time
from typing import Tuple

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)  # goes on while the machine is suspended; Linux


class Moment:
    """A point in time. Each clock misses something: monotonic a suspended machine,
    wall time a step backwards. What one has missed another knows."""

    __slots__ = ("_read",)

    def __init__(self) -> None:
        self._read = _clocks()

    def since(self) -> float:
        """The most seconds that can have passed, by any clock."""
        return max(now - then for now, then in zip(_clocks(), self._read))


def _clocks() -> Tuple[float, ...]:
    if _BOOTTIME is None:
        return time.monotonic(), time.time()
    return time.monotonic(), time.time(), time.clock_gettime(_BOOTTIME)
