"""fetched records → **delivery** → agents' queues. Hands a record on at once where nothing has to be waited for.

Faust waits for each delivery together with three events (flow suspended, stopped, crashed): four tasks and three turns
of the event loop a record. Where each turn makes somebody's list, no more events were folded than lists were made,
and none of the lists of a busy second was made together with another. Here the delivery is begun first; only one that
has to wait, for a full queue or a closed flow, goes Faust's way.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Coroutine, Generator, Iterable
from typing import Any

from faust.transport.consumer import Consumer
from mode.services import WaitResults


def install() -> None:
    """Put it in the place of Faust's `Consumer.wait_first`."""
    wait_first = Consumer.wait_first

    async def at_once_or_first(self: Any, *waited: Any, timeout: Any = None) -> Any:
        first, *others = waited
        if not inspect.iscoroutine(first):
            return await wait_first(self, *waited, timeout=timeout)
        try:
            awaits = first.send(None)
        except StopIteration as done:
            _close(others)
            return WaitResults([first], [done.value], False)
        except BaseException:
            _close(others)
            raise
        return await wait_first(self, _resumed(first, awaits), *others, timeout=timeout)

    Consumer.wait_first = at_once_or_first


def _close(others: Iterable[Any]) -> None:
    """Else Python warns that nobody awaited them."""
    for other in others:
        if inspect.iscoroutine(other):
            other.close()


async def _resumed(begun: Coroutine[Any, Any, Any], awaits: Any) -> Any:
    """What is left of a coroutine that was begun and waits for `awaits`."""
    return await _rest(begun, awaits)


@types.coroutine
def _rest(begun: Coroutine[Any, Any, Any], awaits: Any) -> Generator[Any, Any, Any]:
    try:
        while True:
            try:
                sent = yield awaits
            except BaseException as error:  # noqa: BLE001  a cancellation too is for the coroutine to answer
                awaits = begun.throw(error)
            else:
                awaits = begun.send(sent)
    except StopIteration as done:
        return done.value
