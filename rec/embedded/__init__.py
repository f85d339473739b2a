"""The neighbours `rec up`, tests and demos start by themselves: a Kafka-compatible broker and a real redis-server.

They are ordinary programs out of wheels, run as children, reached over TCP like the ones of production.
"""

from rec.embedded.broker import broker_command, broker_ready, embedded_broker
from rec.embedded.ports import free_port
from rec.embedded.process import Child, running
from rec.embedded.redis_server import embedded_redis, redis_command, redis_ready

__all__ = [
    "Child",
    "broker_command",
    "broker_ready",
    "embedded_broker",
    "embedded_redis",
    "free_port",
    "redis_command",
    "redis_ready",
    "running",
]
