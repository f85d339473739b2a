"""How long the client waits for what; all in seconds."""

from __future__ import annotations

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The client's waits. The defaults are the contract's; smaller ones are for tests and demos."""

    timeout_s: float = 5.0  # one call, its retries included; one reply on the websocket
    backoff_low_s: float = 0.5
    backoff_high_s: float = 20.0
    stable_s: float = 10.0  # a connection must last longer than this to reset the back-off
    ping_grace_s: float = 10.0  # silence of the announced ping interval plus this means the server is gone
    linger_s: float = 2.0  # an unused websocket is kept this long for the next subscription
    gather_s: float = 0.05  # queued events wait this long for company
