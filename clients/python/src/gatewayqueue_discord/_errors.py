"""What can go wrong, for callers."""

from __future__ import annotations

from typing import Optional


class GatewayQueueError(Exception):
    """The base of all errors of this package."""


class Refused(GatewayQueueError):
    """The server, or something in its place, refuses; asking again does not help."""

    def __init__(self, text: str, *, status: Optional[int] = None, type: str = "") -> None:
        super().__init__(text)
        self.status = status  # of HTTP; None where the answer was no error, and none of the server's
        self.type = type  # such as "unauthorized" (docs/http.md); empty if the answer is not the server's


class PermitLapsed(GatewayQueueError):
    """The permit has ended, or may have: IDENTIFY must not be sent under it."""


class UnsupportedLibrary(GatewayQueueError):
    """The bot library is not one that this package can be installed in."""
