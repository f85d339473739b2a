"""The API of rules and reviews: backends alone, nothing without a reason, everything in the audit trail."""

from __future__ import annotations

from typing import Any

from rec.catalog import Item
from tests.web.world import Shop, open_shop

SUMMER = {"effect": "boost", "condition": 'category = "camping"', "factor": 3, "placements": ["home"]}


async def put(shop: Shop, rule: dict[str, Any], why: str = "a sale", rule_id: str = "summer") -> Any:
    return await shop.call("PUT", f"/v1/rules/{rule_id}", json={"rule": rule, "why": why, "by": "ann"})


def browser(shop: Shop) -> dict[str, str]:
    return {"Authorization": f"Bearer {shop.token('u1')}"}


async def test_a_rule_is_put_read_listed_and_removed_and_the_workers_are_told(shop: Shop) -> None:
    hints = shop.worker.exchange.hints()
    assert await anext(hints) is None
    made = await put(shop, SUMMER)
    assert made.status == 200
    assert made.body["rule"]["condition"] == SUMMER["condition"]
    assert (await anext(hints)).kind == "rules"  # type: ignore[union-attr]
    assert (await shop.call("GET", "/v1/rules/summer")).body == made.body
    assert (await shop.call("GET", "/v1/rules")).body == {"rules": [made.body]}
    assert (await shop.call("DELETE", "/v1/rules/summer?why=autumn&by=bob")).body == {"deleted": True}
    assert (await shop.call("GET", "/v1/rules/summer")).status == 404
    trail = [(e["actor"], e["action"], e["detail"]["why"]) for e in await shop.database.recent(2)]
    assert trail == [("api key: bob", "remove rule", "autumn"), ("api key: ann", "put rule", "a sale")]


async def test_a_rule_that_is_wrong_is_refused_by_position_and_by_field(shop: Shop) -> None:
    wrong = await put(shop, {**SUMMER, "condition": "pric < 5"})
    assert (wrong.status, wrong.error["field"]) == (400, "condition")
    assert "position 1" in wrong.error["message"]
    assert "Did you mean price?" in wrong.error["message"]
    for rule, why in (({**SUMMER, "colour": 1}, "x"), (SUMMER, ""), ({**SUMMER, "rule_id": "other"}, "x"), ({}, "x")):
        assert (await put(shop, rule, why)).status == 400
    assert (await shop.call("DELETE", "/v1/rules/summer")).error["field"] == "why"
    assert (await shop.call("DELETE", "/v1/rules/summer?why=x")).status == 404
    assert await shop.database.rules() == []


async def test_a_browser_may_do_none_of_it(shop: Shop) -> None:
    for method, path in [
        ("GET", "/v1/rules"),
        ("GET", "/v1/rules/a"),
        ("PUT", "/v1/rules/a"),
        ("DELETE", "/v1/rules/a"),
        ("GET", "/v1/reviews"),
        ("POST", "/v1/reviews/rule/a"),
    ]:
        assert (await shop.call(method, path, headers=browser(shop))).status == 403, (method, path)


async def test_with_reviews_nothing_holds_until_it_is_approved() -> None:
    async with open_shop(rules_need_review=True) as shop:
        made = await put(shop, SUMMER)
        assert made.body["rule"] is None
        assert made.body["proposal"]["by"] == "api key: ann"
        waiting = (await shop.call("GET", "/v1/reviews")).body
        assert [each["rule_id"] for each in waiting["rules"]] == ["summer"]
        verdict = {"decision": "approve", "why": "looks right"}
        assert (await shop.call("POST", "/v1/reviews/rule/summer", json=verdict)).body["remains"]
        assert (await shop.call("GET", "/v1/rules/summer")).body["proposal"] is None
        assert (await shop.call("DELETE", "/v1/rules/summer?why=over")).body == {"deleted": False}
        assert (await shop.call("POST", "/v1/reviews/rule/summer", json=verdict)).body["remains"] is False
        assert (await shop.call("POST", "/v1/reviews/rule/summer", json=verdict)).error["code"] == "nothing_to_review"


async def test_a_flagged_item_waits_is_not_there_for_browsers_and_is_decided_on(shop: Shop) -> None:
    await shop.database.put_items(
        [Item(item_id="a", title="A", flagged=True), Item(item_id="b", title="B", flagged=True)]
    )
    assert (await shop.call("GET", "/v1/items/a", headers=browser(shop))).status == 404
    assert (await shop.call("GET", "/v1/items/a")).body["flagged"] is True
    assert [each["item_id"] for each in (await shop.call("GET", "/v1/reviews")).body["items"]] == ["a", "b"]
    assert (await shop.call("POST", "/v1/reviews/item/a", json={"decision": "approve", "why": "fine"})).body["remains"]
    gone = await shop.call("POST", "/v1/reviews/item/b", json={"decision": "reject", "why": "not ours"})
    assert gone.body["remains"] is False
    assert (await shop.call("GET", "/v1/items/a", headers=browser(shop))).status == 200
    assert (await shop.call("GET", "/v1/items/b")).status == 404
    assert (await shop.call("GET", "/v1/reviews")).body["items"] == []
