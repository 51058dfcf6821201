"""A bot, as a process of its own: real discord.py, told in JSON who it is."""

import asyncio
import json
import os
import signal
import sys
import time

import discord
import yarl

import gatewayqueue_discord

config = json.loads(sys.argv[1])
gatewayqueue_discord.install()
discord.http.Route.BASE = config["api"] + "/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(config["gateway"])


def say(what: str, shard: int = -1) -> None:
    print(json.dumps({"what": what, "shard": shard, "at": time.time()}), flush=True)


class Events:
    async def on_shard_ready(self, shard: int) -> None:
        say("ready", shard)

    async def on_shard_resumed(self, shard: int) -> None:
        say("resumed", shard)


class Sharded(Events, discord.AutoShardedClient):
    pass


class Hook(Sharded):
    """Does something under the permit, before the IDENTIFY of its first shard."""

    done = False

    async def before_identify_hook(self, shard_id, *, initial=False):
        if self.done:
            return
        self.done = True
        say("held", shard_id)
        if config["hook"] == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)  # the test lets it go on
        else:
            await asyncio.sleep(float(config["hook"]))


async def main() -> None:
    intents = discord.Intents.none()
    if config.get("single"):
        bot = discord.Client(intents=intents)
    else:
        kind = Hook if config.get("hook") else Sharded
        timeout = config.get("heartbeat_timeout", 60.0)
        bot = kind(intents=intents, shard_ids=config["shards"], shard_count=config["count"], heartbeat_timeout=timeout)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(bot.close()))
    try:
        await bot.start(config["token"])
    except asyncio.CancelledError:
        pass
    say("end")


discord.utils.setup_logging()
asyncio.run(main())
