"""Real discord.py, unmodified but for install(), in processes of its own."""

import asyncio
import signal
import time
import unittest

from gatewayqueue_discord import Client, Settings
from stage import LONG, TOKEN, Stage, run


class Holder:
    """Holds the bucket's permit, so that a line forms."""

    def __init__(self, stage, shard):
        self.settings, self.shard = Settings(url=stage.env["GATEWAYQUEUE_URL"], token=TOKEN), shard

    async def hold(self, task):
        async with Client(self.settings) as client:
            permit = await client.acquire(self.shard)
            try:
                await asyncio.get_running_loop().run_in_executor(None, task)
            finally:
                await permit.abandon()


def while_held(stage, shard, task):
    """Runs task while nobody can be granted anything of the shard's bucket."""
    run(Holder(stage, shard).hold(task))


class Bots(Stage):
    def fleet(self):
        self.bot(range(0, 4), 8)
        self.bot(range(4, 8), 8)

    def test_a_start_a_reconnect_and_a_restart_of_all(self):
        for redis in (True, False):
            with self.subTest(redis=redis):
                self.stage(servers=2 if redis else 1, redis=redis, concurrency=2)
                self.fleet()
                self.until_ready(8)
                self.judge(8)
                self.discord.do("reconnect")
                self.until("all resumed", lambda: self.discord.state()["stats"]["resumes"] == 8)
                self.judge(8)
                self.until_ready(8)
                self.discord.do("restart")
                self.until("all have identified again", lambda: self.discord.state()["verdict"]["identifies"] >= 16)
                self.until_ready(8)
                self.judge(16)

    def test_connections_severed_in_line_cost_nothing(self):
        self.stage(concurrency=1)
        self.bot(range(0, 3), 6)
        self.bot(range(3, 6), 6)

        def sever():
            self.until_waiting(2)
            for _ in range(30):  # each process dials three times more, while it stands in line
                self.discord.do("drop")
                time.sleep(0.5)
                if self.discord.state()["stats"]["connections"] >= 8:
                    return
            self.fail(f"lost connections were not seen in line: {self.discord.state()}")

        while_held(self, 0, sever)
        self.until_ready(6)
        self.judge(6)

    def test_no_resume_waits_behind_an_identify(self):
        self.stage(concurrency=1)
        bot = self.bot(range(4), 4)
        self.until_ready(4)

        def meanwhile():
            self.discord.do("invalidate", "0")
            self.until_waiting(1)
            self.discord.do("reconnect")
            self.until("resumed while shard 0 stands in line", lambda: self.discord.state()["stats"]["resumes"] == 3, 15)
            self.assertEqual(self.discord.state()["ready"], [1, 2, 3])

        while_held(self, 0, meanwhile)
        self.until_ready(4)
        self.judge(5)
        self.until("told", lambda: len([e for e in self.events(bot) if e["what"] == "resumed"]) == 3)

    def test_no_resume_waits_behind_a_first_identify(self):
        self.stage(concurrency=1)
        self.bot(range(3), 3)
        self.until_ready(1)

        def meanwhile():
            ready = self.discord.state()["ready"]
            self.until_waiting(1)
            self.discord.do("reconnect")
            resumed = lambda: self.discord.state()["stats"]["resumes"] == len(ready)  # noqa: E731
            self.until("resumed while others stand in line", resumed, 15)

        while_held(self, 0, meanwhile)
        self.until_ready(3)
        self.judge(3)

    def test_servers_that_are_killed_and_rolled(self):
        self.stage(concurrency=1)
        self.fleet()
        self.until_ready(1)
        for number in (signal.SIGKILL, signal.SIGTERM):
            for server in self.servers:
                server.process.signal(number)
                time.sleep(0.5)
                server.process.process.wait(20)
                server.start()
        self.until_ready(8)
        verdict = self.discord.state()["verdict"]
        self.assertEqual((verdict["violations"], verdict["identifies"]), (0, 8), verdict)
        self.assertEqual(self.units(), 8)

    def test_a_bot_that_is_closed_in_line_leaves_it(self):
        self.stage(concurrency=1)
        bots = [self.bot(range(0, 1), 2), self.bot(range(1, 2), 2), self.bot([], 0, single=True)]

        def meanwhile():
            self.until_waiting(3)
            for bot in bots:
                bot.signal(signal.SIGTERM)
            self.until("out of line", lambda: self.waiting() == 0)
            for bot in bots:
                self.until("ended", lambda bot=bot: bot.process.poll() is not None, 20)
                self.assertEqual(bot.process.poll(), 0, bot.said())

        while_held(self, 0, meanwhile)
        self.judge(0)

    def test_a_permit_that_lapses_before_identify_is_not_used(self):
        self.stage(concurrency=1)
        bot = self.bot([0], 2, hook="8")
        self.until("held", lambda: any(e["what"] == "held" for e in self.events(bot)))
        for server in self.servers:
            server.process.kill()
        time.sleep(6)
        self.assertEqual(self.discord.state()["verdict"]["identifies"], 0)
        for server in self.servers:
            server.start()
        other = self.bot([1], 2)
        self.until_ready(2)
        self.judge(2)
        self.assertIn("has lapsed", bot.said())
        del other

    def test_a_process_that_is_stopped_between_grant_and_identify(self):
        self.stage(concurrency=1)
        bot = self.bot([0], 3, hook="stop")
        self.until("held", lambda: any(e["what"] == "held" for e in self.events(bot)))
        self.bot([1, 2], 3)
        self.until_ready(1)  # the permit has lapsed, and the next one had its turn
        time.sleep(0.3)  # within its window
        bot.signal(signal.SIGCONT)
        self.until_ready(3)
        self.judge(3)
        self.assertIn("has lapsed", bot.said())

    def test_a_line_longer_than_heartbeats_last(self):
        """A gateway that hears nothing for two intervals closes, and so does a library
        that reads nothing for its time-out."""
        self.stage(concurrency=1, heartbeat=0.5)
        self.bot([0], 2, heartbeat_timeout=1.5)
        self.bot([1], 2, heartbeat_timeout=1.5)
        while_held(self, 0, lambda: (self.until_waiting(2), time.sleep(4)))
        self.until_ready(2)
        self.judge(2)
        self.assertEqual(self.discord.state()["stats"]["connections"], 2, "none was lost in line")


@unittest.skipUnless(LONG, "takes minutes: -python-long")
class LongBots(Stage):
    def test_a_line_longer_than_the_librarys_patience(self):
        """AutoShardedClient takes 60 or 180 s for a dial, Client 60, and the keep-alive
        82 s without a word."""
        self.stage(concurrency=1, window=5, heartbeat=8)
        self.bot([0], 3)
        self.bot([1], 3)
        single = self.bot([], 0, single=True)
        while_held(self, 0, lambda: (self.until_waiting(3), time.sleep(100)))
        self.until("all have identified", lambda: self.discord.state()["verdict"]["identifies"] >= 3, 60)
        self.assertEqual(self.discord.state()["stats"]["connections"], 3, single.said())
        self.judge(3)

    def test_the_real_window(self):
        self.stage(concurrency=2, window=5)
        self.bot(range(0, 4), 8)
        self.bot(range(4, 8), 8)
        self.until_ready(8, 90)
        self.discord.do("restart")
        self.until("all have identified again", lambda: self.discord.state()["verdict"]["identifies"] >= 16, 90)
        self.until_ready(8, 60)
        print(self.judge(16))


if __name__ == "__main__":
    unittest.main()
