"""`rec doctor`: one line a probe, with the measured fact, and for each failure the exact command that mends it."""

from __future__ import annotations

import asyncio

import click

from rec.cli.findings import PROBE_S, Finding, Probe, Status, as_json, examine, fail, known, line
from rec.cli.here import find_server, settings_here
from rec.cli.machine_probes import machine_probes
from rec.cli.output import console, emit_json, json_option, quiet_drivers, say
from rec.cli.service_probes import archive_probe, load_drivers, server_probes, service_probes
from rec.errors import ConfigError


@click.command()
@click.option("--url", envvar="REC_URL", show_envvar=True, help="The server.  [default: of the `rec up` here]")
@click.option("--api-key", envvar="REC_API_KEY", show_envvar=True, help="Its API key, for the round trip.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 60), default=PROBE_S, show_default=True,
              help="Seconds that one probe may take.")  # fmt: skip
@json_option
def doctor(url: str | None, api_key: str | None, timeout_s: float, as_json: bool) -> int:
    """Probe every part. ✓ works, ! look at it, ✗ does not work: the line below says what mends it.

    \b
    rec doctor               exit code 1 if something does not work
    rec doctor --json        one object a probe, on a line each

    The round trip sends three search events as the user "rec-doctor".
    """
    quiet_drivers()
    load_drivers()
    findings = asyncio.run(_examine(_stages(url, api_key, timeout_s), timeout_s, as_json))
    count = {status: sum(finding.status is status for finding in findings) for status in Status}
    if not as_json:
        say(f"{count[Status.OK]} ok, {count[Status.WARN]} to look at, {count[Status.FAIL]} failed")
    return 1 if count[Status.FAIL] else 0


def _stages(url: str | None, api_key: str | None, timeout_s: float) -> list[list[Probe]]:
    """What to probe side by side, and after it what needs quiet. What is not configured is a finding itself."""
    probes: list[Probe] = []
    archive: list[Probe] = []
    try:
        settings, told = settings_here()
        probes += [*machine_probes(settings, told), *service_probes(settings, timeout_s)]
        archive = [archive_probe(settings, timeout_s)]
    except ConfigError as error:
        probes.append(known("settings", fail(error.message, f"unset {error.field}   # or correct it in .env")))
    try:
        *asked, round_trip = server_probes(find_server(url, api_key), timeout_s)
    except ConfigError as error:
        return [[*probes, known("server", fail(error.message, "export REC_API_KEY=…   # the server's"))], archive]
    return [[*probes, *asked], [round_trip], archive]


async def _examine(stages: list[list[Probe]], timeout_s: float, json: bool) -> list[Finding]:
    """Run the probes and show each as soon as those before it are shown; what hangs costs its timeout once a stage."""
    findings: list[Finding] = []
    for probes in stages:
        running = [asyncio.create_task(examine(probe, timeout_s)) for probe in probes]
        for probe, task in zip(probes, running, strict=True):
            finding = await task
            findings.append(finding)
            if json:
                emit_json(as_json(probe.name, finding))
            else:
                console().print(line(probe.name, finding), soft_wrap=True)
    return findings
