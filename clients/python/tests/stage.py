"""The stage of the tests: real servers, a strict fake Discord, and bots as processes."""

import asyncio
import ctypes
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

PROGRAMS = pathlib.Path(os.environ.get("GQ_TEST_PROGRAMS", ""))  # gatewayqueue, built by e2e_test.go
REDIS = os.environ.get("GQ_TEST_REDIS", "")  # host:port of a redis-server
LONG = bool(os.environ.get("GQ_TEST_LONG"))
TOKEN = "a-token-of-the-tests"
apps = itertools.count(os.getpid() * 100)


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    def __init__(self, case: unittest.TestCase, *command, env=None, stdout=subprocess.DEVNULL):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=stdout, stderr=self.log, stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})}, preexec_fn=end_with_parent, text=True,
        )  # fmt: skip
        case.addCleanup(self.log.close)
        case.addCleanup(self.kill)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()


def get(url: str, method: str = "GET", token: str = ""):
    request = urllib.request.Request(url, method=method)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def until_up(process: Process, answers):
    """Waits until a server that was just started answers."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return answers()
        except OSError:
            if time.monotonic() > deadline or process.process.poll() is not None:
                raise AssertionError(process.said()) from None
            time.sleep(0.05)


class Serve:
    """A gatewayqueue serve that can be killed and started again at its address."""

    def __init__(self, case, app, redis, concurrency, window):
        self.case, self.port = case, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [PROGRAMS / "gatewayqueue", "serve", "--port", self.port, "--fresh-start", "--window", f"{int(window * 1000)}ms"]
        self.command += ["--max-concurrency", concurrency, "--total", 1000]
        if redis:
            self.command += ["--redis", f"redis://{REDIS}", "--app", app]
        self.start()

    def start(self):
        self.process = Process(self.case, *self.command, env={"GATEWAYQUEUE_AUTH_TOKEN": TOKEN})
        until_up(self.process, self.status)

    def status(self):
        return get(self.url + "/v1/status", token=TOKEN)


class Discord:
    def __init__(self, case, concurrency, window, heartbeat):
        address = f"127.0.0.1:{(port := free_port())}"
        self.config = {"api": f"http://{address}", "gateway": f"ws://{address}", "token": "a-token-of-the-bots"}
        self.process = Process(
            case, PROGRAMS / "gatewayqueue", "fake-discord", "--port", port, "--token", self.config["token"],
            "--max-concurrency", concurrency, "--window", f"{int(window * 1000)}ms", "--heartbeat", f"{int(heartbeat * 1000)}ms",
            "--latency", "25ms-100ms", "--transit", "0s", "--ready-delay", "25ms-100ms",
        )  # fmt: skip
        until_up(self.process, self.state)

    def state(self):
        return get(self.config["api"] + "/control/state")

    def do(self, what, shards=""):
        return get(f"{self.config['api']}/control/{what}" + (f"?shards={shards}" if shards else ""), method="POST")


class Stage(unittest.TestCase):
    """A test with a Discord and servers of its own."""

    maxDiff = None

    def stage(self, *, servers=2, redis=True, concurrency=1, window=1.0, heartbeat=41.25):
        app = next(apps)
        self.discord = Discord(self, concurrency, window, heartbeat)
        self.servers = [Serve(self, app, redis, concurrency, window) for _ in range(servers)]
        self.env = {"GATEWAYQUEUE_URL": ",".join(s.url for s in self.servers), "GATEWAYQUEUE_AUTH_TOKEN": TOKEN}
        self.bots = []

    def bot(self, shards, count, **config):
        config = {**self.discord.config, "shards": list(shards), "count": count, **config}
        script = pathlib.Path(__file__).with_name("bot.py")
        bot = Process(self, sys.executable, "-B", script, json.dumps(config), env=self.env, stdout=subprocess.PIPE)
        os.set_blocking(bot.process.stdout.fileno(), False)
        bot.events = []
        self.bots.append(bot)
        return bot

    def events(self, bot):
        for line in bot.process.stdout or ():
            bot.events.append(json.loads(line))
        return bot.events

    def until(self, what, condition, within=40.0):
        """Waits until a condition holds; a time that is over is a failure, with all logs."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(bot.said()[-6000:] for bot in self.bots)
                logs += "\n".join(s.process.said()[-3000:] for s in self.servers)
                self.fail(f"not {what} within {within} s: {self.discord.state()}\n{logs}")
            time.sleep(0.05)

    def until_ready(self, n, within=40.0):
        self.until(f"{n} ready", lambda: len(self.discord.state()["ready"]) == n, within)

    def until_waiting(self, n):
        self.until(f"{n} in line", lambda: self.waiting() >= n)

    def status(self):
        for server in self.servers:
            try:
                return server.status()
            except OSError:
                pass
        raise AssertionError("no server answers")

    def waiting(self):
        return sum(bucket["waiting"] for bucket in self.status()["buckets"])

    def units(self):
        budget = self.status()["budget"]
        return budget["total"] - budget["remaining"]

    def judge(self, identifies):
        """No violation, and one unit for each IDENTIFY that reached Discord."""
        verdict = self.discord.state()["verdict"]
        self.assertEqual((verdict["violations"], verdict["over_budget"]), (0, 0), verdict)
        self.assertEqual(verdict["identifies"], identifies, verdict)
        self.assertEqual(self.units(), identifies, "units of the budget")
        return verdict


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 120))
