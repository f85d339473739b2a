"""What all logs say about a topic that is not as configured. Pure."""

from __future__ import annotations

from rec.errors import ConfigError
from rec.topics import Topic


def partitions_differ(topic: Topic, found: int) -> ConfigError:
    """The error for a topic that was created with another number of partitions: keys would change their owners."""
    return ConfigError(
        f"topic {topic.name!r} has {found} partitions, but {topic.partitions} are wanted. "
        "Set REC_PARTITIONS to what exists, or choose another REC_TOPIC_PREFIX and REC_APP_ID and start anew: "
        "partitions cannot be changed without moving users to other workers.",
        field="REC_PARTITIONS",
    )
