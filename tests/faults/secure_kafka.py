"""An Apache Kafka that takes TLS and SASL alone, as managed ones do: for the test that everything of ours gets in."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from rec.embedded.process import running
from tests.kafka import apache_kafka

USERNAME, PASSWORD = "shunxi", "secret-of-the-broker"
_JAAS = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="{USERNAME}" password="{PASSWORD}" user_{USERNAME}="{PASSWORD}";'
)


class Secure(NamedTuple):
    bootstrap: str
    ca_file: Path


@contextlib.asynccontextmanager
async def secure_kafka(start: Path, folder: Path) -> AsyncIterator[Secure]:
    """A broker until the block is left. Its data folder is made by a first start without security."""
    async with apache_kafka(start, folder) as (bootstrap, _):
        host, _, port = bootstrap.rpartition(":")
    certificate = _certificate(folder)
    properties = folder / "kafka" / "server.properties"
    kept = [line for line in properties.read_text().splitlines() if not line.startswith(("listeners", "advertised"))]
    more = f"""
listeners=SASL_SSL://{host}:{port},CONTROLLER://{host}:{int(port) + 10_000}
advertised.listeners=SASL_SSL://{host}:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={_JAAS}
ssl.keystore.type=PEM
ssl.keystore.location={folder / "both.pem"}
ssl.truststore.type=PEM
ssl.truststore.location={certificate}
"""
    properties.write_text("\n".join(kept) + more)
    log = folder / "secure.log"
    command = [str(start), "run", "--port", port, "--data", str(folder / "kafka")]

    async def started() -> bool:
        return log.exists() and "Kafka Server started" in log.read_text()

    async with running(command, log, started, within_s=60):
        yield Secure(bootstrap, certificate)


def _certificate(folder: Path) -> Path:
    """A certificate that signs itself, for 127.0.0.1; with its key in both.pem, as Kafka wants them."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "both.pem").write_text(key.read_text() + certificate.read_text())
    return certificate
