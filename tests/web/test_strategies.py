"""/v1/strategies and /v1/experiments: stored by a backend, with who and why; refused by field."""

from __future__ import annotations

import pytest

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
