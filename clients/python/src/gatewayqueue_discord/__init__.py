"""A queue for IDENTIFY, for discord.py and its forks.

``install()`` before the bot starts is all: every IDENTIFY of this process then
waits for its turn at a ``gatewayqueue serve``. ``Client`` is the queue itself, for
anything else that identifies.
"""

from ._client import Client, Permit
from ._errors import GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary
from ._install import install
from ._settings import Settings

__all__ = [
    "Client",
    "GatewayQueueError",
    "Permit",
    "PermitLapsed",
    "Refused",
    "Settings",
    "UnsupportedLibrary",
    "install",
]
