"""/v1/strategies and /v1/experiments: stored by a backend, with who and why; refused by field."""

from __future__ import annotations

import pytest

from rec.errors import Unavailable
from rec.feedback import FeedbackExample, Place, encode_example
from rec.policy.experiments import assigned, experiment_of
from rec.topics import FEEDBACK
from rec.trials import all_earned
from tests.web.test_openapi import check
from tests.web.world import Shop, open_shop

AB = {
    "arms": [{"name": "control", "strategy": "calm", "share": 0.5}, {"name": "bold", "strategy": "bold", "share": 0.5}]
}


async def put(shop: Shop, name: str, **values: object) -> object:
    body = {"why": "to try it", "strategy": values, "bandit": True}
    return (await shop.call("PUT", f"/v1/strategies/{name}", json=body)).body


async def test_what_a_backend_puts_is_stored_with_who_and_why() -> None:
    async with open_shop() as shop:
        check("Offer", await put(shop, "bold", category_share=0.4))
        check("Offer", await put(shop, "calm"))
        listed = (await shop.call("GET", "/v1/strategies")).body
        check("StrategyList", listed)
        assert listed["strategies"][0] == {"strategy": {"name": "bold", "category_share": 0.4}, "bandit": True}
        body = {"why": "does it pay?", "actor": "anna", "experiment": AB}
        check("Experiment", put_one := (await shop.call("PUT", "/v1/experiments/ab", json=body)).body)
        assert put_one["since"]
        listed = (await shop.call("GET", "/v1/experiments")).body
        check("ExperimentList", listed)
        assert [experiment["name"] for experiment in listed["experiments"]] == ["ab"]
        trail = [(entry["actor"], entry["action"], entry["detail"]["why"]) for entry in await shop.database.recent(1)]
        assert trail == [("api key: anna", "put experiment", "does it pay?")]


async def test_the_result_is_that_of_the_lists_as_they_are_now() -> None:
    async with open_shop() as shop:
        for name in ("bold", "calm"):
            await put(shop, name)
        experiment = {**AB, "window_s": 0.001}
        stored = (await shop.call("PUT", "/v1/experiments/ab", json={"why": "w", "experiment": experiment})).body
        at = experiment_of(stored).since.timestamp() + 0.001  # type: ignore[union-attr]
        topic = shop.settings.topic(FEEDBACK)
        for n in range(4):
            arm = assigned(experiment_of(stored), f"u{n}", "home")
            assert arm is not None
            for revision, reward in enumerate((9.0, float(n))):  # the newest revision counts
                place = Place("i1", 0.5, "rules", 1.0, "tents", True, reward, {})
                known = (f"s{n}", f"u{n}", revision, "home", arm.strategy, "v", at, at, (place,))
                example = FeedbackExample(*known, experiment="ab", arm=arm.name)
                await shop.log.publish(topic, f"s{n}", encode_example(example))
        await shop.log.publish(topic, "s3", None)  # withdrawn
        found = (await shop.call("GET", "/v1/experiments/ab/result")).body
        check("ExperimentResult", found)
        arms = found["arms"].values()
        assert sum(arm["exposed"] for arm in arms) == sum(arm["subjects"] for arm in arms) == 3
        assert sum(arm["subjects"] * arm["mean"] for arm in arms) == pytest.approx(0 + 1 + 2)
        assert found["effects"][0]["verdict"].startswith("too early")
        assert found["effects"][0]["low"] is None
        assert (await shop.call("GET", "/v1/experiments/ba/result")).status == 404


async def test_more_lists_than_can_be_added_up_are_refused_with_what_to_do() -> None:
    async with open_shop() as shop:
        place = Place("i1", 0.5, "rules", 1.0, "tents", True, 1.0, {})
        for n in range(3):
            example = FeedbackExample(f"s{n}", "u1", 0, "home", "calm", "v", 1.0, 1.0, (place,))
            await shop.log.publish("feedback", f"s{n}", encode_example(example))
        with pytest.raises(Unavailable, match="rec feedback export"):
            await all_earned(shop.log, "feedback", shop.settings.partitions, 5.0, most=2)


async def test_what_is_in_use_stays_and_the_rest_can_be_dropped() -> None:
    async with open_shop() as shop:
        for name in ("bold", "calm"):
            await put(shop, name)
        await shop.call("PUT", "/v1/experiments/ab", json={"why": "w", "experiment": AB})
        assert (await shop.call("DELETE", "/v1/strategies/bold?why=tidy")).status == 400
        check("Deleted", (await shop.call("DELETE", "/v1/experiments/ab?why=tidy&actor=ben")).body)
        check("Deleted", (await shop.call("DELETE", "/v1/strategies/bold?why=tidy")).body)
        assert (await shop.call("DELETE", "/v1/strategies/bold?why=tidy")).status == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/strategies/bold", {"strategy": {}}, "why"),
        ("/v1/strategies/bold", {"why": "", "strategy": {}}, "why"),
        ("/v1/strategies/bold", {"why": " \t ", "strategy": {}}, "why"),
        ("/v1/experiments/ab", {"why": "   ", "experiment": AB}, "why"),
        ("/v1/strategies/bold", {"why": "w", "strategy": {"name": "wild"}}, "strategy.name"),
        ("/v1/experiments/ab", {"why": "w", "experiment": {**AB, "name": "ba"}}, "experiment.name"),
        ("/v1/strategies/bold", {"why": "w", "strategy": {"hue": 1}}, "strategy"),
        ("/v1/strategies/bold", {"why": "w", "strategy": {"category_share": 3}}, "strategy"),
        ("/v1/experiments/ab", {"why": "w", "experiment": AB}, "arms"),  # its strategies are not stored
        ("/v1/experiments/ab", {"why": "w", "experiment": {"arms": []}}, "experiment"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(path: str, body: dict[str, object], field: str) -> None:
    async with open_shop() as shop:
        answer = await shop.call("PUT", path, json=body)
        assert answer.status == 400
        assert answer.error["field"] == field
        assert (await shop.call("GET", "/v1/strategies")).body["revision"] == 0


async def test_a_browser_may_neither_look_nor_change() -> None:
    async with open_shop() as shop:
        for method, path in (("GET", "/v1/strategies"), ("PUT", "/v1/strategies/a"), ("DELETE", "/v1/experiments/a")):
            assert (await shop.call(method, path, headers=shop.browser("u1"))).status == 403
