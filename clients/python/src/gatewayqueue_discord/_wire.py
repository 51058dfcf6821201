"""One request to one of the servers, and what its answer means."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any, Dict, Optional

import aiohttp

from ._errors import Refused
from ._settings import Settings

_PROBLEM = "urn:gatewayqueue:problem:"
_LARGEST = 1 << 16  # bytes of an answer; the largest of ours has a few hundred
_CONNECT = 5.0  # seconds for a connection, of whatever time a request has
_PASSING = frozenset((408, 425, 500, 502, 503, 504))  # statuses that are asked again


class Passing(Exception):
    """There was no answer, or one that passes: ask again, another server first."""

    def __init__(self, text: str, *, retry_after: float = 0.0, ticket: Optional[str] = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.ticket = ticket


class Foreign(Passing):
    """Something else answers at the server's address."""

    status: Optional[int] = None


class Gone(Exception):
    """410: the permit, or the key's, has ended."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the permit has ended ({reason or 'unknown'})")
        self.settled = reason == "settled"


class NotFound(Exception):
    """404 of the server itself."""


class Wire:
    """Sends requests to the server whose turn it is."""

    def __init__(self, settings: Settings) -> None:
        self.servers = settings.servers()
        self.max_wait = settings.seconds()
        self._token = settings.bearer()
        self._at = random.randrange(len(self.servers))
        self._session: Optional[aiohttp.ClientSession] = None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def server(self) -> str:
        """The server that is asked now."""
        return self.servers[self._at]

    def next(self, after: str) -> None:
        """Asks another one from now on, unless that has happened meanwhile."""
        if after == self.server:
            self._at = (self._at + 1) % len(self.servers)

    async def send(self, server: str, method: str, path: str, body: Optional[Dict[str, Any]], within: float) -> Dict[str, Any]:
        """Sends a request and returns the answer's JSON, empty for 204. It takes
        no longer than ``within`` seconds."""
        headers = {} if self._token is None else {"Authorization": "Bearer " + self._token}
        data: Optional[bytes] = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        timeout = aiohttp.ClientTimeout(total=within, sock_connect=min(_CONNECT, within))
        try:
            async with self._open().request(
                method, server + path, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                text = bytearray()
                async for part in answer.content.iter_chunked(1 << 13):
                    text += part
                    if len(text) > _LARGEST:
                        raise _foreign(answer)
                return _read(answer, bytes(text))
        except asyncio.TimeoutError:
            raise Passing(f"no answer within {within:.1f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            # Its text may name the address, so only its kind is told.
            raise Passing(f"no answer ({type(error).__name__})") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A connection for each request: none that was idle is ever found dead
            # while a permit runs out. Requests are few: one a minute and shard.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _read(answer: aiohttp.ClientResponse, text: bytes) -> Dict[str, Any]:
    status = answer.status
    if status == 204:
        return {}
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _foreign(answer)
    if status in (200, 201, 202):
        return body
    kind = str(body.get("type", ""))
    if not kind.startswith(_PROBLEM) or answer.content_type != "application/problem+json":
        raise _foreign(answer)
    kind = kind[len(_PROBLEM) :]
    if status == 410:
        raise Gone(str(body.get("reason", "")))
    if kind == "not-found":
        raise NotFound(str(body.get("detail", "")))
    if status in _PASSING or kind in ("left", "exhausted"):
        ticket = body.get("ticket")
        raise Passing(
            f"the server answers {status} {kind}: {body.get('detail', '')}",
            retry_after=_retry_after(answer),
            ticket=ticket if isinstance(ticket, str) and ticket else None,
        )
    raise Refused(f"the server answers {status} {kind}: {body.get('detail', '')}", status=status, type=kind)


def _foreign(answer: aiohttp.ClientResponse) -> Foreign:
    by = answer.headers.get("Server") or answer.headers.get("Via") or ""
    error = Foreign(
        f"not gatewayqueue's /v1 but something at its address or before it answers {answer.status}"
        + (f" (it calls itself {by[:60]!r})" if by else ""),
        retry_after=_retry_after(answer),
    )
    error.status = answer.status
    return error


def _retry_after(answer: aiohttp.ClientResponse) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(min(int(text), 60)) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def pause(failures: int, servers: int, retry_after: float) -> float:
    """Seconds until the next try: another server is asked at once; after a round
    of all of them the pause grows, to 5 s and a little, or is what they ask for."""
    if failures % servers:
        return 0.05 * random.random()
    backoff: float = min(5.0, 0.1 * 2 ** min(failures // servers - 1, 10))
    return max(backoff, retry_after) * (1 + 0.5 * random.random())
