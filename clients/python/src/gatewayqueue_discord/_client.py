"""The client of /v1: waits for permits, renews them, and reports them.

docs/http.md is the contract. Whatever is sent has a bound, and whatever an answer
says of time counts from when its request was sent.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from types import TracebackType
from typing import Any, Awaitable, Dict, Optional, Set, Type

from ._clock import Moment
from ._errors import GatewayQueueError, PermitLapsed, Refused
from ._settings import Settings
from ._wire import Foreign, Gone, NotFound, Passing, Wire, pause

log = logging.getLogger("gatewayqueue_discord")

POLL_GRACE = 5.0  # no answer within that: the connection is dead
LEAVE = 1.0  # how long a caller that leaves waits to hear whether it had been granted
RENEWAL = 2.0  # the longest that one renewal may take
REPORT = 2.0  # the longest that one report may take
REPORTS = 15.0  # for how long a report is repeated: then its permit's lease and window are over
LONGEST = 600.0  # of one request that waits
SEND = 0.25  # what IDENTIFY may take from this process to the wire


class Client:
    """The queue behind one or more servers. It belongs to one event loop."""

    def __init__(self, settings: Optional[Settings] = None) -> None:
        """No I/O. ValueError for a setting that is missing or out of range."""
        self._wire = Wire(settings if settings is not None else Settings())
        self._work: Set[asyncio.Future[Any]] = set()  # renewals and reports
        self._known = False  # a server has answered
        self._closed = False

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for reports that are on their way, at most 2 s, and ends the rest.
        Permits that are out lapse within 5 s."""
        self._closed = True
        if self._work:
            _, late = await asyncio.wait(set(self._work), timeout=2.0)
            for task in late:
                task.cancel()
        await self._wire.close()

    async def acquire(self, shard: int) -> "Permit":
        """Waits until the shard may identify, however long that takes. If no server
        answers, it asks again; Refused if one refuses. A caller that is cancelled
        leaves the line, which takes at most a second."""
        if isinstance(shard, bool) or not isinstance(shard, int) or not 0 <= shard < 1 << 31:
            raise ValueError(f"shard: {shard!r}: want an integer, 0 to 2147483647")
        return await Wait(self, shard).permit()

    def _run(self, work: Awaitable[Any]) -> "asyncio.Future[Any]":
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task


class Wait:
    """One wait. It may be asked again after its permit has lapsed: that is the same
    wait, which is paid once."""

    def __init__(self, client: Client, shard: int) -> None:
        self._client = client
        self._wire = client._wire
        self._shard = shard
        self._max_wait = self._wire.max_wait
        self._start_over()

    def _start_over(self) -> None:
        self._key, self._ticket = uuid.uuid4().hex, ""  # the key is this wait's name; the ticket its place

    async def permit(self) -> "Permit":
        failures = 0
        while True:
            if self._client._closed:
                raise GatewayQueueError("the client is closed")
            sent, server = Moment(), self._wire.server
            try:
                permit = self._accept(await self._poll(server), sent)
            except Gone as error:  # the key's permit was settled
                log.debug("shard %d: %s: starting over", self._shard, error)
                self._start_over()
                failures += 1
                await asyncio.sleep(pause(failures, 1, 0))
                continue
            except NotFound as error:
                raise Refused(f"the server answers 404: {error}", status=404, type="not-found") from None
            except Passing as error:
                if isinstance(error, Foreign) and not self._client._known:
                    raise Refused(str(error), status=error.status) from None
                self._ticket = error.ticket or self._ticket
                failures += 1
                self._wire.next(server)
                seconds = pause(failures, len(self._wire.servers), error.retry_after)
                log.log(
                    logging.WARNING if failures % 10 == 1 else logging.DEBUG,
                    "shard %d waits for its turn: %s: asking again in %.1f s", self._shard, error, seconds,
                )  # fmt: skip
                await asyncio.sleep(seconds)
                continue
            self._client._known = True
            failures = 0
            if permit is None:
                if sent.since() < 0.05:  # a server that does not wait
                    await asyncio.sleep(0.05 if self._max_wait else 0.5)
                continue
            try:
                if sent.since() >= permit.good / 2:
                    await permit.renew()  # how old the answer is, nobody knows
            except PermitLapsed:
                continue  # too late for it: once more, by the same key
            except BaseException:
                permit.abandon()
                raise
            permit._keep()
            return permit

    async def _poll(self, server: str) -> Dict[str, Any]:
        """Sends one poll. If the caller is cancelled, the server is told so, and a
        grant that was on its way goes back."""
        body: Dict[str, Any] = {"shard": self._shard, "key": self._key, "max_wait_ms": int(self._max_wait * 1000)}
        if self._ticket:
            body["ticket"] = self._ticket
        else:
            body["early_ticket"] = True
        within = self._max_wait + POLL_GRACE
        poll = asyncio.ensure_future(self._wire.send(server, "POST", "/v1/permits", body, within))
        try:
            await asyncio.wait({poll})
        except asyncio.CancelledError:
            await self._leave(server, poll)
            raise
        return poll.result()

    async def _leave(self, server: str, poll: "asyncio.Future[Dict[str, Any]]") -> None:
        sent = Moment()
        leaving = asyncio.ensure_future(self._tell_that_it_leaves(server))
        try:
            await asyncio.wait({poll}, timeout=LEAVE)
        finally:
            leaving.cancel()
            if not poll.done():
                poll.cancel()  # hanging up leaves the line, too
            elif not poll.cancelled() and poll.exception() is None:
                try:
                    permit = self._accept(poll.result(), sent)
                except Passing:
                    permit = None
                if permit is not None:
                    permit.abandon()

    async def _tell_that_it_leaves(self, server: str) -> None:
        for n in range(1, 20):  # the poll may be on its way, or behind a balancer another server's
            try:
                await self._wire.send(server, "DELETE", "/v1/waits/" + self._key, None, LEAVE)
            except NotFound:
                await asyncio.sleep(0.01 * n)
            except (Passing, Gone, Refused):
                return
            else:
                return

    def _accept(self, answer: Dict[str, Any], sent: Moment) -> Optional["Permit"]:
        """The permit, or None if the wait goes on. Only what is an answer to this
        request to the letter is a grant."""
        shard, id, good = answer.get("shard"), answer.get("id"), _seconds(answer.get("good_for_ms"))
        if shard is self._shard or shard == self._shard and not isinstance(shard, bool):
            if answer.get("waiting") is True:
                ticket = answer.get("ticket")
                self._ticket = ticket if isinstance(ticket, str) else self._ticket
                if answer.get("keeps_place") is False:
                    self._max_wait = LONGEST  # leave the line as seldom as possible
                return None
            if isinstance(id, str) and id and id.replace("-", "").replace("_", "").isalnum() and good is not None:
                return Permit(self._client, id, self._shard, good, sent)
        raise Foreign("the answer is not that of gatewayqueue's /v1")


class Permit:
    """The right to send one IDENTIFY, renewed until it is reported.

    Ask left() right before IDENTIFY; then call identified(), or abandon() if none
    was sent. Without either, the bucket stays closed until the permit has lapsed.
    """

    def __init__(self, client: Client, id: str, shard: int, good: float, sent: Moment) -> None:
        self.shard = shard
        self.good = good  # seconds, from when its last request was sent
        self._sent = sent
        self._client = client
        self._wire = client._wire
        self._path = "/v1/permits/" + id
        self._id = id
        self._over = False  # the server renews it no more
        self._reported: Optional[asyncio.Future[None]] = None
        self._keeper: Optional[asyncio.Future[None]] = None

    def left(self) -> float:
        """For how many seconds IDENTIFY may be sent yet; 0 or less: not any more."""
        if self._over or self._reported is not None:
            return 0.0
        return self.good - self._sent.since() - SEND

    async def renew(self) -> None:
        """Renews the permit, at whichever server answers, while that can help.
        PermitLapsed if it has ended, or may have."""
        began, bound, failures = Moment(), self.good, 0
        while began.since() < bound:
            sent, server = Moment(), self._wire.server
            try:
                answer = await self._wire.send(server, "PUT", self._path, None, RENEWAL)
                good = _seconds(answer.get("good_for_ms"))
                if answer.get("id") != self._id or good is None:
                    raise Foreign("the answer is not that of gatewayqueue's /v1")
            except (Gone, NotFound, Refused) as error:
                self._over = True
                raise PermitLapsed(f"shard {self.shard}: {error}") from None
            except Passing as error:
                failures += 1
                self._wire.next(server)
                log.debug("shard %d: renewal: %s", self.shard, error)
                await asyncio.sleep(min(0.5, pause(failures, len(self._wire.servers), 0)))
                continue
            self.good, self._sent = good, sent
            if self.left() <= 0:
                break
            return
        raise PermitLapsed(f"shard {self.shard}: no server has renewed the permit in time")

    def identified(self, within: float = 0.0) -> "asyncio.Future[None]":
        """Reports that IDENTIFY was sent, or will be within so many seconds, at most 60.
        The report is repeated in the background until a server has it, for 15 s:
        there is no need to await what is returned."""
        if not 0 <= within <= 60:
            raise ValueError(f"within: {within!r}: want 0 to 60 (seconds)")
        body = {"within_ms": int(within * 1000 + 0.999)} if within else None
        return self._report("POST", self._path + "/identified", body)

    def abandon(self) -> "asyncio.Future[None]":
        """Reports that none was or will be sent: the slot and the unit go back."""
        return self._report("DELETE", self._path, None)

    def _report(self, method: str, path: str, body: Optional[Dict[str, Any]]) -> "asyncio.Future[None]":
        if self._reported is None:
            if self._keeper is not None:
                self._keeper.cancel()
            self._reported = self._client._run(self._tell(method, path, body))
        return self._reported

    async def _tell(self, method: str, path: str, body: Optional[Dict[str, Any]]) -> None:
        began, failures = Moment(), 0
        while began.since() < REPORTS:
            server = self._wire.server
            try:
                await self._wire.send(server, method, path, body, REPORT)
            except (Gone, NotFound):  # it was told before, or has lapsed
                return
            except Refused as error:
                log.warning("shard %d: report: %s", self.shard, error)
                return
            except Passing as error:
                failures += 1
                self._wire.next(server)
                log.debug("shard %d: report: %s", self.shard, error)
                await asyncio.sleep(min(1.0, pause(failures, len(self._wire.servers), 0)))
                continue
            return
        log.warning("shard %d: no server was told what became of its permit: it lapses", self.shard)

    def _keep(self) -> None:
        if self._keeper is None:
            self._keeper = self._client._run(self._renewals())

    async def _renewals(self) -> None:
        try:
            while self._reported is None and not self._client._closed:
                await asyncio.sleep(max(0.1, self.left() / 2))
                await self.renew()
        except PermitLapsed as error:
            log.debug("%s", error)


def _seconds(ms: object) -> Optional[float]:
    if isinstance(ms, bool) or not isinstance(ms, int) or not 0 <= ms <= 3_600_000:
        return None
    return ms / 1000
