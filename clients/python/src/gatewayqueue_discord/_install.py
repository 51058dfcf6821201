"""Switches the queue on in a bot library, by replacing a few of its methods.

How the library identifies, and what is replaced:

- ``DiscordWebSocket.from_client`` dials, reads HELLO, and calls ``identify``. A
  connection that is lost while its shard stands in line is dialled again here, with
  the same place in line; the library never hears of it.
- ``DiscordWebSocket.identify`` waits for the turn, and reads on meanwhile: answers to
  heartbeats arrive, and a lost connection is seen.
- ``DiscordWebSocket.send_as_json`` sends no IDENTIFY without a permit that is good.
- ``Client.before_identify_hook`` is the library's own limiter: it does nothing now.
- ``Shard`` reconnects on its own, so that no RESUME waits behind an IDENTIFY.
- ``asyncio.wait_for`` in the library's two modules gives a dial no time limit: a line
  may be longer than their 60 s. The dial itself has that limit here.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import importlib.util
import inspect
import logging
import random
import sys
import weakref
from types import ModuleType
from typing import Any, Awaitable, Callable, Generator, Optional, Set

from ._client import Client, Permit, Wait
from ._errors import GatewayQueueError, PermitLapsed, UnsupportedLibrary
from ._settings import Settings

log = logging.getLogger("gatewayqueue_discord")

LIBRARIES = ("discord", "nextcord", "disnake")  # discord is discord.py or pycord
DIAL = 60.0  # the longest that a dial may take until HELLO, in seconds, as in the library
CLOSE = 1.0  # the longest that closing a connection that is given up may take
FATAL = frozenset((4004, 4010, 4011, 4012, 4013, 4014))  # close codes after which dialling again does not help


def install(settings: Optional[Settings] = None, *, library: Optional[str] = None) -> None:
    """Makes every IDENTIFY of this process wait for its turn. Call it once, before a
    bot starts. No I/O; ValueError for a setting that is wrong.

    ``library`` is the package to switch it on in: ``discord`` (discord.py or pycord),
    ``nextcord`` or ``disnake``; by default the one that is installed.
    """
    settings = settings if settings is not None else Settings()
    Client(settings)  # settings that are wrong are refused here, not when the first shard dials
    name = library if library is not None else _library()
    if name not in LIBRARIES:
        raise UnsupportedLibrary(f"library: {name!r}: want one of {', '.join(LIBRARIES)}")
    try:
        gateway, client, shard = (importlib.import_module(f"{name}.{part}") for part in ("gateway", "client", "shard"))
    except ImportError as error:
        raise UnsupportedLibrary(f"library: {name} cannot be imported: {error}") from error
    if hasattr(gateway.__dict__.get("DiscordWebSocket"), "_gatewayqueue"):
        raise GatewayQueueError(f"install: was called for {name} before: want one call in a process")
    _check(name, gateway, client, shard)
    bots = _Bots(settings)
    _patch_gateway(gateway, bots)
    _patch_client(client, shard, bots)
    _patch_shard(shard, bots)
    client.asyncio = shard.asyncio = _Asyncio()  # type: ignore[attr-defined]


def _library() -> str:
    loaded = [name for name in LIBRARIES if name in sys.modules]
    found = loaded or [name for name in LIBRARIES if importlib.util.find_spec(name) is not None]
    if len(found) != 1:
        which = ", ".join(found) if found else "none"
        raise UnsupportedLibrary(f"library: {which} of {', '.join(LIBRARIES)} is here: want one, or its name")
    return found[0]


def _check(name: str, gateway: ModuleType, client: ModuleType, shard: ModuleType) -> None:
    """Refuses a library that is not built as this module expects, rather than let an
    IDENTIFY pass."""
    expected = (
        (gateway, "DiscordWebSocket", "from_client identify send_as_json poll_event close"),
        (client, "Client", "before_identify_hook close is_closed"),
        (shard, "AutoShardedClient", "launch_shard close"),
        (shard, "Shard", "reidentify reconnect __init__"),
        (shard, "EventType", "resume identify reconnect"),
    )
    for module, kind, members in expected:
        for member in members.split():
            if not hasattr(getattr(module, kind, None), member):
                raise UnsupportedLibrary(f"library: {name} has no {kind}.{member} in {module.__name__}: this version is not known")
    if not inspect.iscoroutinefunction(gateway.DiscordWebSocket.identify):
        raise UnsupportedLibrary(f"library: identify of {name} is no coroutine: this version is not known")
    for module in (client, shard):
        if getattr(module, "asyncio", None) is not asyncio:
            raise UnsupportedLibrary(f"library: {module.__name__} does not import asyncio: this version is not known")


class _Asyncio:
    """asyncio, as the library's modules see it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def wait_for(awaitable: Awaitable[Any], timeout: Optional[float], **options: Any) -> Any:
        if isinstance(awaitable, _Dial):
            return await awaitable
        return await asyncio.wait_for(awaitable, timeout, **options)


class _Bot:
    """What a bot has here while it runs: its client of the queue, and what it does."""

    def __init__(self, settings: Settings) -> None:
        self.client = Client(settings)
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.dials: Set[asyncio.Future[None]] = set()  # each ends with its dial
        self._tasks: Set[asyncio.Future[Any]] = set()

    def spawn(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def leave(self) -> None:
        """Ends what is in line, and what would dial again."""
        if not self.closing.done():
            self.closing.set_result(None)
        if self.dials:
            await asyncio.wait(set(self.dials), timeout=3 * CLOSE)
        mine = asyncio.current_task()  # a handler may close its bot
        for task in self._tasks:
            if task is not mine:
                task.cancel()
        await self.client.close()


class _Bots:
    """The bots of this process, by their connection state, which a client and its
    sockets share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bots: "weakref.WeakKeyDictionary[Any, _Bot]" = weakref.WeakKeyDictionary()

    def of(self, state: Any) -> _Bot:
        bot = self._bots.get(state)
        if bot is None:
            bot = self._bots[state] = _Bot(self._settings)
        return bot

    def pop(self, state: Any) -> Optional[_Bot]:
        return self._bots.pop(state, None)


class _Lost(Exception):
    """The connection was lost while its shard stood in line."""


_dialling: "contextvars.ContextVar[Optional[_Dial]]" = contextvars.ContextVar("gatewayqueue_dial", default=None)


class _Dial:
    """What from_client returns: a dial, and its wait for the turn if it identifies."""

    def __init__(self, bot: _Bot, shard: int, is_closed: Callable[[], bool], connect: Callable[[], Awaitable[Any]]) -> None:
        self.bot = bot
        self.shard = shard
        self._is_closed = is_closed
        self.permit: Optional[Permit] = None  # for the IDENTIFY that is about to be sent
        self.sent = False  # IDENTIFY was written, or may have been
        self._connect = connect
        self._wait: Optional[Wait] = None
        self._waiting: Optional[asyncio.Future[Permit]] = None
        self._limit: Optional[asyncio.TimerHandle] = None
        self._late = False

    def __await__(self) -> Generator[Any, None, Any]:
        return self._run().__await__()

    async def _run(self) -> Any:
        if self._is_closed():
            raise asyncio.CancelledError  # launch_shard takes an error for a reason to try again
        token = _dialling.set(self)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.bot.dials.add(ended)
        losses = 0
        try:
            while True:
                self._start_limit()
                try:
                    return await self._connect()
                except _Lost as lost:
                    if self._is_closed():
                        raise ConnectionError("the bot is closing") from None
                    losses += 1
                    seconds = min(5.0, 0.5 * 2 ** min(losses - 1, 4)) * (0.5 + 0.5 * random.random())
                    log.info("shard %d: %s: dialling again in %.1f s, in the same place", self.shard, lost, seconds)
                    self._stop_limit()
                    await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if self._late:
                raise asyncio.TimeoutError(f"no HELLO within {DIAL:.0f} s") from None
            raise
        finally:
            self._stop_limit()
            _dialling.reset(token)
            await self._leave()
            self.bot.dials.discard(ended)
            ended.set_result(None)

    def _start_limit(self) -> None:
        task = asyncio.current_task()

        def expire() -> None:
            self._late = True
            if task is not None:
                task.cancel()

        self._limit = asyncio.get_running_loop().call_later(DIAL, expire)

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    async def _leave(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if not waiting.done():
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=2 * CLOSE)
        elif not waiting.cancelled() and waiting.exception() is None:
            waiting.result().abandon()  # nothing, if it was reported

    async def identify(self, ws: Any, plain: Callable[[Any], Awaitable[None]]) -> None:
        """Waits for the turn, then lets the library identify."""
        self._stop_limit()
        while True:
            permit = await self._turn(ws)
            self.permit, self.sent = permit, False
            try:
                await plain(ws)
            except PermitLapsed as lapsed:
                log.info("%s: waiting for another", lapsed)
                self._waiting = None  # the same wait: it is paid
                continue
            finally:
                self.permit = None
                if self.sent:
                    self._waiting = None
                    permit.identified()
            if not self.sent:
                raise GatewayQueueError(f"shard {self.shard}: the library has sent no IDENTIFY: this version is not known")
            return

    async def _turn(self, ws: Any) -> Permit:
        """Waits for the permit, and reads on meanwhile."""
        if self._wait is None:
            self._wait = Wait(self.bot.client, self.shard)
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._wait.permit())
        waiting = self._waiting
        poll: asyncio.Future[Any] = asyncio.ensure_future(ws.poll_event())
        try:
            while True:
                await asyncio.wait({waiting, poll, self.bot.closing}, return_when=asyncio.FIRST_COMPLETED)
                if self.bot.closing.done():
                    raise _Lost("the bot is closing")
                if waiting.done() and not poll.done():
                    await asyncio.sleep(0)  # what has arrived with the grant may be the connection's end
                if not poll.done():
                    poll.cancel()
                    await asyncio.wait({poll})
                if not poll.cancelled():
                    error = poll.exception()
                    if error is not None:
                        raise error
                if ws.socket.closed:
                    raise _Lost("the connection has ended in line")
                if waiting.done():
                    return waiting.result()
                poll = asyncio.ensure_future(ws.poll_event())
        except BaseException as error:
            poll.cancel()
            await _give_up(ws)
            fatal = isinstance(error, (_Lost, GatewayQueueError)) or getattr(error, "code", None) in FATAL
            if fatal or not isinstance(error, Exception):
                raise
            raise _Lost(f"the connection has ended in line ({type(error).__name__})") from error


async def _give_up(ws: Any) -> None:
    """Closes a connection that the library does not know of: its heartbeats end."""
    closing = asyncio.ensure_future(ws.close())
    await asyncio.wait({closing}, timeout=CLOSE)
    if not closing.done():
        closing.cancel()
    elif not closing.cancelled() and closing.exception() is not None:
        log.debug("closing a connection: %r", closing.exception())


def _patch_gateway(gateway: ModuleType, bots: _Bots) -> None:
    socket = gateway.DiscordWebSocket
    from_client: Callable[..., Awaitable[Any]] = socket.from_client.__func__
    identify, send_as_json = socket.identify, socket.send_as_json

    def dial(cls: Any, client: Any, *arguments: Any, **options: Any) -> _Dial:
        shard = options.get("shard_id")
        bot = bots.of(client._connection)
        return _Dial(bot, shard or 0, client.is_closed, lambda: from_client(cls, client, *arguments, **options))

    async def identify_in_turn(self: Any) -> None:
        current = _dialling.get()
        if current is None:
            raise GatewayQueueError("identify: was called outside of from_client: this version of the library is not known")
        await current.identify(self, identify)

    async def send(self: Any, data: Any) -> None:
        if not isinstance(data, dict) or data.get("op") != self.IDENTIFY:
            await send_as_json(self, data)
            return
        current = _dialling.get()
        permit = current.permit if current is not None else None
        if current is None or permit is None or current.sent:
            raise GatewayQueueError("IDENTIFY is not sent: it has no permit of the queue")
        if self.socket.closed:
            raise _Lost("the connection has ended before IDENTIFY")
        if permit.left() <= 0:
            raise PermitLapsed(f"shard {permit.shard}: the permit has lapsed before IDENTIFY was sent")
        # Nothing between here and the write waits: a new connection is far from its limit.
        current.sent = True
        try:
            await send_as_json(self, data)
        except OSError as error:
            if "closing transport" not in str(error):  # aiohttp's word for: it was not written
                raise
            current.sent = False
            await _give_up(self)
            raise _Lost("the connection has ended before IDENTIFY") from error

    socket.from_client = classmethod(dial)
    socket.identify = identify_in_turn
    socket.send_as_json = send
    socket._gatewayqueue = True


def _patch_client(client: ModuleType, shard: ModuleType, bots: _Bots) -> None:
    async def hook(self: Any, shard_id: Optional[int], *, initial: bool = False) -> None:
        pass  # the queue is the limiter

    client.Client.before_identify_hook = hook
    for kind in (client.Client, shard.AutoShardedClient):
        if "close" in vars(kind):
            kind.close = _close(kind.close, bots)


def _close(plain: Callable[[Any], Awaitable[None]], bots: _Bots) -> Callable[[Any], Awaitable[None]]:
    async def close(self: Any) -> None:
        bot = bots.pop(self._connection)
        try:
            await plain(self)  # first, so that what is in line sees that the bot is closed
        finally:
            if bot is not None:
                await bot.leave()

    return close


def _patch_shard(shard: ModuleType, bots: _Bots) -> None:
    kind, event = shard.Shard, shard.EventType
    plain = kind.__init__

    def init(self: Any, ws: Any, client: Any, queue_put: Callable[[Any], None]) -> None:
        def put(item: Any) -> None:
            if client.is_closed() or item.type not in (event.resume, event.identify, event.reconnect):
                queue_put(item)
            elif item.type == event.reconnect:
                bots.of(client._connection).spawn(self.reconnect())
            else:
                bots.of(client._connection).spawn(self.reidentify(item.error))

        plain(self, ws, client, put)

    kind.__init__ = init
