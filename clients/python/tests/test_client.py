"""The /v1 client against real servers, and against answers that are none."""

import asyncio
import os
import time
import unittest
from unittest import mock

import aiohttp
from aiohttp import web

import gatewayqueue_discord
from gatewayqueue_discord import Client, PermitLapsed, Refused, Settings, UnsupportedLibrary
from gatewayqueue_discord._clock import Moment
from stage import TOKEN, Stage, run


class SettingsTest(unittest.TestCase):
    def test_what_is_refused_and_how(self):
        for settings, words in (
            (Settings(url=""), "url: number 1"),
            (Settings(url="queue:8080"), "url: number 1"),
            (Settings(url="http://a:1,ftp://b"), "url: number 2"),
            (Settings(url="http://a:99999"), "url: number 1"),
            (Settings(url="http://user:secret@a"), "want the server's token in token"),
            (Settings(token=""), "token: is empty"),
            (Settings(token="a b"), "token:"),
            (Settings(token="ä"), "token:"),
            (Settings(max_wait=0), "max_wait: 0: want 1 to 600"),
            (Settings(max_wait=601), "max_wait: 601"),
            (Settings(max_wait=float("nan")), "max_wait: nan"),
            (Settings(max_wait=True), "max_wait: True"),
        ):
            with self.subTest(words), self.assertRaises(ValueError) as caught:
                Client(settings)
            self.assertIn(words, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_the_environment(self):
        with mock.patch.dict(os.environ, {"GATEWAYQUEUE_URL": "http://a:1/, https://b/x", "GATEWAYQUEUE_AUTH_TOKEN": "t"}):
            self.assertEqual(Settings().servers(), ("http://a:1", "https://b/x"))
            self.assertEqual(Settings().bearer(), "t")
            self.assertEqual(Settings(url="http://c").servers(), ("http://c",))
        with mock.patch.dict(os.environ, {"GATEWAYQUEUE_URL": " "}), self.assertRaisesRegex(ValueError, "GATEWAYQUEUE_URL: is set but empty"):
            Settings().servers()
        with mock.patch.dict(os.environ, clear=True):
            self.assertEqual(Settings().servers(), ("http://127.0.0.1:8080",))
            self.assertIsNone(Settings().bearer())
        self.assertNotIn("hidden", repr(Settings(token="hidden")))

    def test_install_refuses_what_it_does_not_know(self):
        with self.assertRaisesRegex(UnsupportedLibrary, "want one of discord"):
            gatewayqueue_discord.install(library="hikari")
        with self.assertRaisesRegex(ValueError, "max_wait"):
            gatewayqueue_discord.install(Settings(max_wait=0))


class ClockTest(unittest.TestCase):
    def test_the_clock_that_has_seen_the_most_counts(self):
        moment = Moment()
        for clock in ("monotonic", "time", "clock_gettime"):
            real = getattr(time, clock)
            with mock.patch.object(time, clock, lambda *args: real(*args) + 1000):
                self.assertGreater(moment.since(), 999, clock)
        with mock.patch.object(time, "time", lambda: 0):  # a step backwards
            self.assertGreaterEqual(moment.since(), 0)


class ClientTest(Stage):
    def client(self, url=None, **options):
        return Client(Settings(url=url or self.env["GATEWAYQUEUE_URL"], token=TOKEN, **options))

    def test_permits_are_had_renewed_reported_and_given_back(self):
        self.stage()

        async def test():
            async with self.client() as client:
                permit = await client.acquire(0)
                await asyncio.sleep(2.5)  # longer than a lease, which is as long as the window
                self.assertGreater(permit.left(), 0)
                await permit.abandon()
                self.assertEqual(self.units(), 0)
                with self.assertRaises(PermitLapsed):
                    await permit.renew()
                permit = await client.acquire(0)
                await permit.identified()
                await permit.identified()
                self.assertLessEqual(permit.left(), 0)
                began = time.monotonic()
                permit = await client.acquire(0)
                self.assertGreater(time.monotonic() - began, 0.9)
                await permit.identified(within=0.2)
                self.assertEqual(self.units(), 2)

        run(test())

    def test_a_caller_that_is_cancelled_leaves_the_line(self):
        self.stage()

        async def test():
            async with self.client() as client:
                permit = await client.acquire(0)
                waits = [asyncio.ensure_future(client.acquire(0)) for _ in range(5)]
                while self.waiting() < 5:
                    await asyncio.sleep(0.05)
                for wait in waits:
                    wait.cancel()
                await asyncio.wait(waits, timeout=3)
                self.assertTrue(all(wait.cancelled() for wait in waits))
                self.assertEqual(self.waiting(), 0)
                for n in range(40):  # cancelled while the grant may be on its way
                    wait = asyncio.ensure_future(client.acquire(0))
                    await asyncio.sleep(0.002 * n)
                    if n == 0:
                        await permit.abandon()
                    if not wait.cancel():
                        wait.result().abandon()
                    else:
                        await asyncio.wait({wait})
                        if not wait.cancelled():
                            wait.result().abandon()
            deadline = time.monotonic() + 10
            while self.units() and time.monotonic() < deadline:
                await asyncio.sleep(0.1)
            self.assertEqual(self.units(), 0)

        run(test())

    def test_the_place_is_kept_through_servers_that_stop(self):
        """A 503 brings the ticket along, a kill does not: both keep the order."""
        self.stage()

        async def test():
            async with self.client(max_wait=2) as client:
                permit, order, waits = await client.acquire(0), [], []

                async def wait(shard):
                    mine = await client.acquire(shard)
                    order.append(shard)
                    await mine.abandon()

                for shard in range(1, 6):
                    waits.append(asyncio.ensure_future(wait(shard)))
                    while self.waiting() < shard:
                        await asyncio.sleep(0.05)
                loop = asyncio.get_running_loop()
                for server, stop in zip(self.servers, ("terminate", "kill")):
                    getattr(server.process.process, stop)()
                    await asyncio.sleep(1)
                    await loop.run_in_executor(None, server.process.process.wait)
                    await loop.run_in_executor(None, server.start)
                while self.waiting() < 5:
                    await asyncio.sleep(0.05)
                self.assertGreater(permit.left(), 0, "renewed at the other server")
                await asyncio.sleep(4)  # the killed server's lease
                await permit.abandon()
                await asyncio.wait_for(asyncio.gather(*waits), 30)
                self.assertEqual(order, [1, 2, 3, 4, 5])

        run(test())

    def test_refusals_are_told(self):
        self.stage(servers=1, redis=False)

        async def test():
            async with Client(Settings(url=self.servers[0].url, token="another-token")) as client:
                with self.assertRaises(Refused) as caught:
                    await client.acquire(0)
                self.assertEqual((caught.exception.status, caught.exception.type), (401, "unauthorized"))
                for shard in (-1, True, "0", 1 << 31, None):
                    with self.assertRaisesRegex(ValueError, "shard: "):
                        await client.acquire(shard)
            async with Client(Settings(url=self.discord.config["api"])) as client:
                with self.assertRaisesRegex(Refused, "not gatewayqueue's /v1"):
                    await client.acquire(0)

        run(test())

    def test_an_answer_that_may_be_older_than_its_permit_is_not_used(self):
        """Between client and server stands what delays answers, loses them, or answers
        for the server."""
        self.stage(servers=1)
        server = self.servers[0].url
        plan = []

        async def between(request):
            body = await request.read()
            step = plan.pop(0) if plan and request.method == "POST" else None
            if step in (502, 503):
                return web.Response(status=step, text="<html>", headers={"Retry-After": "1"})
            async with aiohttp.ClientSession() as session:
                async with session.request(request.method, server + request.path, data=body, headers=request.headers) as answer:
                    text, kind = await answer.read(), answer.content_type
                    status = answer.status
            if step == "late":
                await asyncio.sleep(7)
            if step == "lost":
                request.transport.close()
            return web.Response(status=status, body=text, content_type=kind if status != 204 else None)

        async def test():
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", between)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            url = "http://127.0.0.1:%d" % runner.addresses[0][1]
            async with self.client(url) as client:
                for number, steps in enumerate((["late"], ["lost"], ["late", 502, 503, "lost"]), 1):
                    holder = None
                    async with self.client() as direct:
                        if number > 1:
                            holder = await direct.acquire(0)
                            await holder.abandon()
                        plan[:] = steps
                        began = time.monotonic()
                        permit = await client.acquire(0)
                        self.assertGreater(permit.left(), 0, steps)
                        self.assertFalse([step for step in plan if step], f"{steps} after {time.monotonic() - began:.1f} s")
                        plan.clear()
                        await permit.identified()
                        self.assertEqual(self.units(), number, f"a wait is paid once: {steps}")
            await runner.cleanup()

        run(test())
