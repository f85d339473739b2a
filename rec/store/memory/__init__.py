"""The log and the exchange inside one process: real backends for tests and notebooks."""

from rec.store.memory.exchange import MemoryExchange
from rec.store.memory.log import MemoryLog

__all__ = ["MemoryExchange", "MemoryLog"]
