"""What happens when a worker dies, on a real Kafka: as tests, and as scripts to be run as often as one likes."""
