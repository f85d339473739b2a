"""The registry of model versions: one is live, a person's pin holds, what learned of the erased never returns."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from rec.contest import UNTAUGHT
from rec.errors import ModelError, NotFound
from rec.ports import Database, ModelVersion
from rec.versions import ways_back
from tests.contracts.database.conftest import Opener

NOW = datetime(2026, 11, 25, 10, 0, 0, 123_456, tzinfo=UTC)


def version(n: int, **more: Any) -> ModelVersion:
    """Version n of a line: each the child of the one before, made at offset 10 n."""
    fields: dict[str, Any] = {
        "version": f"v{n}",
        "parent": f"v{n - 1}" if n > 1 else None,
        "state": "held",
        "digest": f"{n:064x}",
        "offset": 10 * n,
        "learned_through": NOW + timedelta(minutes=n),
        "created_at": NOW + timedelta(minutes=n, seconds=3),
        "config": {"dim": 64, "encoder": "mini", "lr": [0.1, 0.01]},
        "metrics": {"nll": 3.5, "live_nll": 3.75},
        "url": "s3://bucket/models",
        "note": "",
    }
    return ModelVersion(**{**fields, **more})


async def fill(database: Database, count: int) -> None:
    for n in range(1, count + 1):
        await database.record_version(version(n))


async def states(database: Database) -> dict[str, str]:
    return {each.version: each.state for each in await database.versions()}


# ---------------------------------------------------------------- recording
async def test_a_version_comes_back_as_it_was_recorded(database: Database) -> None:
    assert await database.version_of("v1") is None
    assert await database.versions() == []
    bare = version(2, parent=None, learned_through=None, url=None, config={}, metrics={}, note="söme\nlines")
    for each in (version(1), bare):
        await database.record_version(each)
        assert await database.version_of(each.version) == each
    assert await database.live_version() is None


async def test_times_are_instants_whatever_their_zone_and_metrics_are_plain_numbers(database: Database) -> None:
    india = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    metrics = {"nll": np.float32(2.5), "hr@10": float("nan"), "loss": float("inf")}
    await database.record_version(version(1, created_at=india, learned_through=india, metrics=metrics))
    found = await database.version_of("v1")
    assert found is not None
    assert (found.created_at, found.learned_through, found.metrics) == (NOW, NOW, {"nll": 2.5})
    assert found.created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("wrong", [{"state": "alive"}, {"created_at": NOW.replace(tzinfo=None)}])
async def test_what_is_no_version_is_refused(database: Database, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no state|time zone"):
        await database.record_version(version(1, **wrong))
    assert await database.versions() == []


async def test_versions_come_newest_first_in_the_order_of_recording_page_by_page(database: Database) -> None:
    await fill(database, 4)
    await database.record_version(version(5, created_at=NOW - timedelta(days=1)))  # its clock was wrong
    await database.record_version(version(2, note="measured again"))  # keeps its place
    assert [each.version for each in await database.versions()] == ["v5", "v4", "v3", "v2", "v1"]
    assert [each.version for each in await database.versions(limit=2)] == ["v5", "v4"]
    assert [each.note for each in await database.versions(limit=2, before="v4")] == ["", "measured again"]
    assert await database.versions(before="v1") == []
    with pytest.raises(NotFound, match=r"no model version v9.*rec models list"):
        await database.versions(before="v9")


async def test_recording_again_replaces_and_leaves_what_is_live_and_pinned_alone(database: Database) -> None:
    await fill(database, 2)
    await database.go_live("v1", pin=True)
    again = version(1, metrics={"nll": 1.0}, url="s3://elsewhere")
    for state in ("held", "past", "live"):
        await database.record_version(again._replace(state=state))
        assert await database.version_of("v1") == again._replace(state="live")
    await database.record_version(version(2, state="live", note="a stale view"))
    assert await states(database) == {"v2": "held", "v1": "live"}
    assert await database.pinned() == "v1"
    with pytest.raises(ModelError, match="record it as held"):
        await database.record_version(version(3, state="live"))


# ---------------------------------------------------------------- going live
async def test_one_goes_live_and_the_one_before_is_past(database: Database) -> None:
    await fill(database, 3)
    assert await database.go_live("v1", "the first") == version(1, state="live", note="the first")
    assert await database.go_live("v3") == await database.live_version() == version(3, state="live")
    assert await states(database) == {"v3": "live", "v2": "held", "v1": "past"}
    past = await database.version_of("v1")
    assert past is not None
    assert past.note == "the first"


async def test_a_rollback_marks_the_one_that_was_worse(database: Database) -> None:
    await fill(database, 2)
    await database.go_live("v1")
    await database.go_live("v2")
    await database.go_live("v1", "nll rose by 0.4", rolled_back=True)
    assert await states(database) == {"v2": "rolled_back", "v1": "live"}
    await database.go_live("v1", "again", rolled_back=True)  # the live one replaces nobody
    assert await states(database) == {"v2": "rolled_back", "v1": "live"}
    await database.go_live("v2")  # a person may still choose it
    assert await states(database) == {"v2": "live", "v1": "past"}


async def test_what_cannot_serve_does_not_go_live_and_nothing_changes(database: Database) -> None:
    await fill(database, 3)
    await database.record_version(version(2, url=None))
    await database.withdraw("v2", "erased")
    await database.go_live("v3")
    for pin in (False, True):
        with pytest.raises(ModelError, match=r"v1 is withdrawn.*rec models list"):
            await database.go_live("v1", pin=pin)
        with pytest.raises(ModelError, match=r"v2 has no weights.*rec models list"):
            await database.go_live("v2", pin=pin)
        with pytest.raises(NotFound, match="no model version v9"):
            await database.go_live("v9", pin=pin)
    assert await states(database) == {"v3": "live", "v2": "held", "v1": "withdrawn"}
    assert await database.pinned() is None


async def test_of_many_that_go_live_at_once_one_is_live(opener: Opener) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(opener()) for _ in range(4)]
        await fill(clients[0], 8)
        turns = [client.go_live(f"v{n}") for n, client in enumerate(clients * 2, start=1)]
        await asyncio.gather(*turns)
        found = sorted((await states(clients[1])).values())
        assert found == ["live", *["past"] * 7]
        assert await clients[0].live_version() == await clients[3].live_version()


async def test_of_many_that_record_at_once_none_is_lost(opener: Opener) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(opener()) for _ in range(3)]
        await asyncio.gather(*(clients[n % 3].record_version(version(n % 10)) for n in range(30)))
        assert len(await clients[0].versions()) == 10


# ---------------------------------------------------------------- pins
async def test_while_one_is_pinned_nothing_else_goes_live_by_itself(database: Database) -> None:
    await fill(database, 3)
    assert await database.pinned() is None
    await database.go_live("v2", "by hand", pin=True)
    assert await database.pinned() == "v2"
    with pytest.raises(ModelError, match=r"v2 is pinned, so v3 does not go live.*rec models promote --automatic"):
        await database.go_live("v3")
    await database.go_live("v2")  # the pinned one may
    await database.go_live("v1", pin=True)  # and a person may change their mind
    assert (await database.pinned(), await states(database)) == ("v1", {"v3": "held", "v2": "past", "v1": "live"})
    await database.pin(None)
    await database.pin(None)
    assert await database.pinned() is None
    await database.go_live("v3")


async def test_only_what_is_there_and_may_stay_can_be_pinned(database: Database) -> None:
    await fill(database, 3)
    await database.pin("v3")
    await database.withdraw("v2", "erased")
    with pytest.raises(NotFound, match="no model version v9"):
        await database.pin("v9")
    with pytest.raises(ModelError, match="v1 is withdrawn"):
        await database.pin("v1")
    assert await database.pinned() == "v3"


# ---------------------------------------------------------------- withdrawal
async def test_what_learned_before_an_erasure_is_withdrawn_and_the_live_one_serves_until_it_is_replaced(
    database: Database,
) -> None:
    await fill(database, 4)
    await database.go_live("v1")
    await database.go_live("v2", pin=True)
    withdrawn = await database.withdraw("v3", "erasure e1")
    assert [each.version for each in withdrawn] == ["v2", "v1"]
    assert await database.withdraw("v3", "erasure e2") == []
    with pytest.raises(NotFound, match="no model version v9"):
        await database.withdraw("v9", "erasure e3")
    live = version(2, state="live", withdrawn=True, note="erasure e1")
    assert await database.live_version() == live
    assert await database.version_of("v1") == version(1, state="withdrawn", withdrawn=True, note="erasure e1")
    assert await database.pinned() is None  # or its successor could never go live
    assert await database.version_of("v3") == version(3)
    await database.go_live("v3", rolled_back=True)
    assert await states(database) == {"v4": "held", "v3": "live", "v2": "withdrawn", "v1": "withdrawn"}


async def test_the_gate_that_nobody_trained_is_never_withdrawn_and_keeps_its_pin(database: Database) -> None:
    untaught = version(1)._replace(version=UNTAUGHT, learned_through=None)
    await database.record_version(untaught)
    await fill(database, 3)
    await database.go_live(UNTAUGHT, pin=True)
    assert [each.version for each in await database.withdraw("v3", "erased")] == ["v2", "v1"]
    assert (await database.pinned(), (await database.version_of(UNTAUGHT))) == (
        UNTAUGHT,
        untaught._replace(state="live"),
    )
    await database.record_version(untaught._replace(state="withdrawn", withdrawn=True))
    await database.pin(None)
    await database.go_live("v3")
    await database.go_live(UNTAUGHT, rolled_back=True)
    assert (await states(database))[UNTAUGHT] == "live"


async def test_a_withdrawn_version_stays_withdrawn_however_it_is_recorded_again(database: Database) -> None:
    await fill(database, 3)
    await database.go_live("v2")
    await database.withdraw("v3", "erased")
    for state in ("held", "past", "live", "rolled_back"):
        await database.record_version(version(1, state=state, url=None))
        await database.record_version(version(2, state=state))
        assert await database.version_of("v1") == version(1, state="withdrawn", withdrawn=True, url=None)
        assert await database.live_version() == version(2, state="live", withdrawn=True)


# ---------------------------------------------------------------- pruning
async def test_old_versions_are_pruned_but_not_the_live_and_not_the_pinned_one(database: Database) -> None:
    await fill(database, 6)
    await database.go_live("v2")
    await database.pin("v3")
    assert await database.prune_versions(10) == []
    assert await database.prune_versions(2) == [version(1), version(4)]
    assert await states(database) == {"v6": "held", "v5": "held", "v3": "held", "v2": "live"}
    assert await database.prune_versions(2) == []
    await database.record_version(version(7))  # numbers are not handed out twice
    assert [each.version for each in await database.versions(limit=2)] == ["v7", "v6"]
    await database.pin(None)
    assert [each.version for each in await database.prune_versions(0)] == ["v3", "v5", "v6", "v7"]
    assert await states(database) == {"v2": "live"}


async def test_what_is_needed_and_what_a_kept_one_is_based_on_are_not_pruned(database: Database) -> None:
    await fill(database, 2)
    for n, base in ((3, "v1"), (4, "v2"), (5, None), (6, None)):
        await database.record_version(version(n, config={"base": base} if base else {}))
    assert [each.version for each in await database.prune_versions(1, ["v3"])] == ["v2", "v4", "v5"]
    assert [each.version for each in await database.prune_versions(1)] == ["v1", "v3"]
    assert await states(database) == {"v6": "held"}


async def test_pruning_spares_whom_it_is_told_to(database: Database) -> None:
    await fill(database, 5)
    assert await database.prune_versions(1, ["v2", "v9"]) == [version(1), version(3), version(4)]
    assert await states(database) == {"v5": "held", "v2": "held"}
    assert await database.prune_versions(1, []) == [version(2)]


# ---------------------------------------------------------------- the way back
def test_the_way_back_leads_to_what_has_served_then_to_what_never_did_and_never_to_what_was_worse() -> None:
    earlier = [
        version(9, state="held"),
        version(8, state="withdrawn", withdrawn=True),
        version(7, state="rolled_back"),
        version(6, state="past", url=None),
        version(5, state="past"),
        version(4, state="held"),
        version(3, state="past"),
    ]
    assert [each.version for each in ways_back(earlier)] == ["v5", "v3", "v9", "v4"]
