"""settings → **security** → every client of the broker. TLS and SASL, by the names that Kafka gives them.

The same value serves aiokafka (`options`) and, in the worker, Faust, so the two cannot differ.
"""

from __future__ import annotations

import ssl
from typing import Any, NamedTuple

from rec.config import Settings
from rec.errors import ConfigError


class Security(NamedTuple):
    """How a broker is spoken to. `mechanism` is None without SASL, `context` without TLS."""

    mechanism: str | None = None
    username: str = ""
    password: str = ""
    context: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Security({self.mechanism}, {self.username!r}, {'TLS' if self.context else 'no TLS'})"

    @classmethod
    def from_settings(cls, settings: Settings) -> Security:
        """Raises ConfigError, by the setting: for a name without SASL, for none with it, for a file that is no PEM."""
        chosen = settings.broker_security
        username, password = settings.broker_username, settings.broker_password.get_secret_value()
        for name, value in (("USERNAME", username), ("PASSWORD", password)):
            field = f"REC_BROKER_{name}"
            if chosen.startswith("sasl") and not value:
                raise ConfigError(f"{field} is empty, and {chosen} needs it.", field=field)
            if value and not chosen.startswith("sasl"):
                message = f"{field} would not be used with {chosen}: set REC_BROKER_SECURITY to sasl_ssl."
                raise ConfigError(message, field=field)
        for name, path in (("CA", settings.broker_ca_file), ("CERT", settings.broker_cert_file)):
            if path and not chosen.endswith("ssl"):
                field = f"REC_BROKER_{name}_FILE"
                message = f"{field} would not be used with {chosen}: set REC_BROKER_SECURITY to ssl or sasl_ssl."
                raise ConfigError(message, field=field)
        mechanism = settings.broker_sasl if chosen.startswith("sasl") else None
        context = _context(settings) if chosen.endswith("ssl") else None
        return cls(mechanism, username, password, context)

    def options(self) -> dict[str, Any]:
        """What aiokafka's clients are given."""
        protocol = ("SASL_" if self.mechanism else "") + ("SSL" if self.context else "PLAINTEXT")
        options: dict[str, Any] = {"security_protocol": protocol}
        if self.context is not None:
            options["ssl_context"] = self.context
        if self.mechanism is not None:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options


NONE = Security()


def _context(settings: Settings) -> ssl.SSLContext:
    """The broker's certificate and name are checked, always."""
    context = ssl.create_default_context()
    for name, path in (("CA", settings.broker_ca_file), ("CERT", settings.broker_cert_file)):
        if not path:
            continue
        try:
            if name == "CA":
                context = ssl.create_default_context(cafile=path)
            else:
                context.load_cert_chain(path, password="")  # else OpenSSL asks for one on the terminal
        except OSError as error:
            field = f"REC_BROKER_{name}_FILE"
            raise ConfigError(f"{field}={path} cannot be read as PEM: {error}", field=field) from error
    return context
