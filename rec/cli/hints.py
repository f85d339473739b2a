"""What a command has changed in SQL, told to the workers: they read it by themselves, the hint makes them do it now."""

from __future__ import annotations

from rec.cli.output import quiet_drivers, say
from rec.config import Settings
from rec.errors import RecError
from rec.ports import Hint
from rec.store import open_exchange


async def tell_workers(settings: Settings, hint: Hint) -> bool:
    """Whether they could be told. A Redis that is away is a message, not an error."""
    quiet_drivers()
    try:
        async with open_exchange(settings) as exchange:
            await exchange.hint(hint)
    except RecError as error:
        say(f"No worker could be told ({error.message}); those that run look by themselves every few seconds.")
        return False
    return True
