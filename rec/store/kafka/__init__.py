"""The log on Kafka, or on a broker that speaks its protocol."""

from rec.store.kafka.log import KafkaLog

__all__ = ["KafkaLog"]
