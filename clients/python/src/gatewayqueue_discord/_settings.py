"""The settings, by argument or by environment variable."""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from typing import Optional, Tuple

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the queue is. What is None is read from the environment."""

    #: The server's address, such as ``http://queue:8080``; several, of one Redis,
    #: are separated by commas. ``GATEWAYQUEUE_URL``; by default http://127.0.0.1:8080.
    url: Optional[str] = None

    #: The server's ``--auth-token``, if it has one. ``GATEWAYQUEUE_AUTH_TOKEN``.
    token: Optional[str] = dataclasses.field(default=None, repr=False)

    #: How long one request waits at the server before it is sent again, in
    #: seconds, 1 to 600. It does not bound the wait.
    max_wait: float = 50.0

    def servers(self) -> Tuple[str, ...]:
        """The addresses, without a slash at the end. ValueError if one is invalid."""
        text = self.url if self.url is not None else _environment("GATEWAYQUEUE_URL") or DEFAULT_URL
        servers = tuple(one.strip().rstrip("/") for one in text.split(","))
        for number, one in enumerate(servers, 1):
            try:
                parts = urllib.parse.urlsplit(one)
                good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
                good = good and not parts.query and not parts.fragment
            except ValueError:
                good = False
            if not good:  # not repeated, because it may hold a password
                raise ValueError(f"url: number {number} is no server's address: want one such as {DEFAULT_URL}")
            if parts.username is not None or parts.password is not None:
                raise ValueError(f"url: number {number} has a user or a password: want the server's token in token")
        return servers

    def bearer(self) -> Optional[str]:
        """The token, or None. ValueError if it cannot be sent."""
        token = self.token if self.token is not None else _environment("GATEWAYQUEUE_AUTH_TOKEN")
        if token is None:
            return None
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("token: is empty, or has blanks or other than ASCII: want the server's token")
        return token

    def seconds(self) -> float:
        """max_wait. ValueError if it is out of range."""
        if isinstance(self.max_wait, bool) or not isinstance(self.max_wait, (int, float)) or not 1 <= self.max_wait <= 600:
            raise ValueError(f"max_wait: {self.max_wait!r}: want 1 to 600 (seconds)")
        return float(self.max_wait)


def _environment(name: str) -> Optional[str]:
    value = os.environ.get(name)
    if value is not None and not value.strip():
        raise ValueError(f"{name}: is set but empty: want a value, or unset it")
    return None if value is None else value.strip()
