"""A broker with TLS and passwords: every process of ours gets in, and whoever may not is told what to mend."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from agents.app import create_app
from rec.config import load_settings
from rec.errors import ConfigError, Unavailable
from rec.store import open_log
from rec.store.kafka.security import Security
from rec.store.kafka.survey import ping_broker
from tests.faults.secure_kafka import PASSWORD, USERNAME, secure_kafka
from tests.faults.traffic import rough_traffic
from tests.faults.trial import trial
from tests.kafka import need_kafka
from tests.stack import shelf

SASL = {"broker_security": "sasl_ssl", "broker_username": USERNAME, "broker_password": PASSWORD}


@pytest.mark.needs_kafka
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_events_go_through_a_broker_that_takes_tls_and_passwords_alone(tmp_path: Path) -> None:
    async with secure_kafka(need_kafka(), tmp_path) as kafka:
        bootstrap, more = kafka.bootstrap, {**SASL, "broker_ca_file": str(kafka.ca_file)}
        async with trial(tmp_path / "world", bootstrap, "secure", watchers=1, more=more) as run:
            items = [item.item_id for item in shelf()]
            await run.publish(rough_traffic(200, 20, items, time.time(), random.Random(1)), 1_000)
            assert await run.drained(60), run.world.logs()
            verdict = await run.verdict()
        assert verdict.ok, verdict
        values = {"broker_url": f"kafka://{bootstrap}", **more}
        with pytest.raises(Unavailable, match="the name or the password"):
            await ping_broker(load_settings(**{**values, "broker_password": "wrong"}), 5.0)
        with pytest.raises(Unavailable):  # the system does not know who signed
            await ping_broker(load_settings(**{**values, "broker_ca_file": ""}), 5.0)
        scram = {**values, "broker_sasl": "SCRAM-SHA-512"}
        await ping_broker(load_settings(**scram), 10.0)
        with pytest.raises(Unavailable, match="the name or the password"):
            await ping_broker(load_settings(**{**scram, "broker_password": "wrong"}), 5.0)
        own = {"broker_security": "ssl", "broker_ca_file": str(kafka.ca_file)}
        values = {"broker_url": f"kafka://{kafka.by_certificate}", **own, "broker_cert_file": str(kafka.cert_file)}
        await ping_broker(load_settings(**values), 10.0)
        with pytest.raises(Unavailable):  # who shows no certificate stays outside
            await ping_broker(load_settings(**{**values, "broker_cert_file": ""}), 5.0)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"broker_security": "sasl_ssl", "broker_password": "p"}, "REC_BROKER_USERNAME"),
        ({"broker_security": "sasl_plaintext", "broker_username": "u"}, "REC_BROKER_PASSWORD"),
        ({"broker_username": "u"}, "REC_BROKER_USERNAME"),
        ({"broker_security": "ssl", "broker_password": "p"}, "REC_BROKER_PASSWORD"),
        ({"broker_ca_file": "ca.pem"}, "REC_BROKER_CA_FILE"),
        ({"broker_security": "ssl", "broker_ca_file": "/nowhere/ca.pem"}, "REC_BROKER_CA_FILE"),
        ({"broker_security": "ssl", "broker_cert_file": __file__}, "REC_BROKER_CERT_FILE"),
    ],
)
def test_half_a_way_in_is_refused_by_its_setting(given: dict[str, object], field: str) -> None:
    settings = load_settings(**given)
    for used in (Security.from_settings, open_log, create_app):
        with pytest.raises(ConfigError) as refused:
            used(settings)
        assert refused.value.field == field


def test_without_security_nothing_is_sent_but_what_was_before() -> None:
    assert Security.from_settings(load_settings()).options() == {"security_protocol": "PLAINTEXT"}
    settings = load_settings(**SASL)
    assert PASSWORD not in f"{settings!r} {Security.from_settings(settings)!r}"
