"""An Apache Kafka that takes TLS and SASL alone, as managed ones do: for the test that everything of ours gets in."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from rec.embedded.process import running
from tests.kafka import CONTROLLER, apache_kafka, free_pair

USERNAME, PASSWORD = "shunxi", "secret-of-the-broker"
_JAAS = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="{USERNAME}" password="{PASSWORD}" user_{USERNAME}="{PASSWORD}";'
)
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Secure(NamedTuple):
    """Where it takes a name and a password, and where it wants a client's certificate."""

    bootstrap: str
    by_certificate: str
    ca_file: Path
    cert_file: Path  # a client's, with its key


@contextlib.asynccontextmanager
async def secure_kafka(start: Path, folder: Path) -> AsyncIterator[Secure]:
    """A broker until the block is left. Its data folder is made by a first start without security."""
    async with apache_kafka(start, folder) as (bootstrap, _):
        host, _, port = bootstrap.rpartition(":")
        await asyncio.to_thread(_add_user, start, bootstrap)
    certificate, other = _certificate(folder), free_pair()
    properties = folder / "kafka" / "server.properties"
    kept = [line for line in properties.read_text().splitlines() if not line.startswith(("listeners", "advertised"))]
    more = f"""
listeners=SASL_SSL://{host}:{port},SSL://{host}:{other},CONTROLLER://{host}:{int(port) + CONTROLLER}
advertised.listeners=SASL_SSL://{host}:{port},SSL://{host}:{other}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={_JAAS}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={_SCRAM}
listener.name.ssl.ssl.client.auth=required
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
        yield Secure(bootstrap, f"{host}:{other}", certificate, folder / "both.pem")


def _add_user(start: Path, bootstrap: str) -> None:
    """The user's password as SCRAM keeps it: Kafka has it in its own log, not in a file."""
    added = f"SCRAM-SHA-512=[password={PASSWORD}]"  # one a request, and each takes a start of Java
    command = [str(start), "configs", "--bootstrap-server", bootstrap, "--alter", "--add-config", added]
    subprocess.run([*command, "--entity-type", "users", "--entity-name", USERNAME], check=True, capture_output=True)


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
