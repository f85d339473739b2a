"""openapi.json says what the handlers do: addresses, methods, fields, and real answers against its schemas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import msgspec.inspect
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from rec import __version__
from rec.catalog import Item
from rec.events import ACTIONS, Attribution, Consent, Event, EventItem
from rec.ingest import MAX_CONTEXT_BYTES
from rec.policy.desk import Proposal
from rec.policy.rules import Rule
from rec.ports import ModelVersion
from rec.protocol import MAX_EVENTS, MAX_N
from rec.slates import Cause, Reason, SearchFacts, Slate, SlateItem
from rec.topics import DEAD_LETTERS
from rec.vitals import Buckets
from tests.web.world import Shop, event, open_shop
from web.console import ItemsQuery, NewestQuery, OnlineQuery
from web.health import OPENAPI
from web.intake import Receipt
from web.models import Choice, ModelsQuery
from web.parsing import FeedbackQuery, RecommendationQuery, SearchQuery, StreamQuery, SuggestQuery, TokenRequest
from web.rules import Decision, RulePut
from web.users import CandidatesQuery

DOCUMENT: dict[str, Any] = msgspec.json.decode(OPENAPI)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
MADE = datetime(2026, 11, 27, tzinfo=UTC)
VERSION = ModelVersion("v1", None, "held", "", 0, None, MADE, {}, {"nll": 3.0}, None, "held: too few batches")


def test_the_document_is_valid_and_of_this_version() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["info"]["version"] == __version__


async def test_every_route_is_described_and_nothing_else(shop: Shop) -> None:
    routes = {
        (route.resource.canonical, route.method.lower())
        for route in shop.app.router.routes()
        if route.resource is not None and route.method not in ("*", "HEAD")  # HEAD follows from GET (RFC 9110 §9.3.2)
    }
    described = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert routes == described


@pytest.mark.parametrize(
    "struct",
    [
        Event,
        EventItem,
        Attribution,
        Consent,
        Slate,
        SearchFacts,
        SlateItem,
        Reason,
        Cause,
        Item,
        TokenRequest,
        Receipt,
        Rule,
        Proposal,
        RulePut,
        Decision,
        Choice,
        Buckets,
    ],
)
def test_every_field_is_described_with_its_type(struct: type[msgspec.Struct]) -> None:
    schema = SCHEMAS[struct.__name__]
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    assert list(schema["properties"]) == [field.encode_name for field in info.fields]
    assert set(schema.get("required", ())) == {field.encode_name for field in info.fields if field.required}
    for field in info.fields:
        options = schema["properties"][field.encode_name].get("anyOf", ())
        nullable = isinstance(field.type, msgspec.inspect.UnionType) and field.type.includes_none
        assert nullable == ({"type": "null"} in options), field.name


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/recommendations", RecommendationQuery),
        ("/v1/search", SearchQuery),
        ("/v1/suggest", SuggestQuery),
        ("/v1/sse", StreamQuery),
        ("/v1/feedback", FeedbackQuery),
        ("/v1/users", OnlineQuery),
        ("/v1/items", ItemsQuery),
        ("/v1/users/{user_id}/candidates", CandidatesQuery),
        ("/v1/audit", NewestQuery),
        ("/v1/dead-letters", NewestQuery),
        ("/v1/models", ModelsQuery),
    ],
)
def test_every_parameter_is_described(path: str, query: type[msgspec.Struct]) -> None:
    parameters = [p for p in DOCUMENT["paths"][path]["get"]["parameters"] if p["in"] == "query"]
    fields = {field.name: field for field in msgspec.structs.fields(query)}
    assert {p["name"] for p in parameters} == set(fields)
    assert all(p["required"] == fields[p["name"]].required for p in parameters)


def test_names_and_limits_are_those_of_the_code() -> None:
    assert all(name in SCHEMAS["Event"]["properties"]["event"]["description"] for name in ACTIONS)
    assert SCHEMAS["EventBatch"]["properties"]["events"]["maxItems"] == MAX_EVENTS
    assert f"{MAX_CONTEXT_BYTES // 1024} KiB" in SCHEMAS["Event"]["properties"]["context"]["description"]
    [n] = [p for p in DOCUMENT["paths"]["/v1/recommendations"]["get"]["parameters"] if p["name"] == "n"]
    assert n["schema"]["maximum"] == MAX_N


def check(name: str, body: Any) -> None:
    """Whether a body is what its schema says, and shows no field that the schema does not know."""
    root = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    Draft202012Validator(root).validate(body)
    assert set(body) <= set(SCHEMAS[name]["properties"])


async def test_real_answers_are_as_described() -> None:
    async with open_shop(request_timeout_s=0.5) as shop:
        item = {"item_id": "a", "title": "Tent", "price": 3.5}
        check("ItemReceipt", (await shop.call("PUT", "/v1/items", json={"items": [item, {}]})).body)
        check("Item", (await shop.call("GET", "/v1/items/a")).body)
        check("Deleted", (await shop.call("DELETE", "/v1/items/a")).body)
        rule = {"rule": {"effect": "pin", "condition": "in_stock", "ends_at": "2027-01-01T00:00:00Z"}, "why": "x"}
        check("StoredRule", (await shop.call("PUT", "/v1/rules/a", json=rule)).body)
        check("RuleList", (await shop.call("GET", "/v1/rules")).body)
        check("ReviewList", (await shop.call("GET", "/v1/reviews")).body)
        await shop.database.put_items([Item(item_id="f", title="F", flagged=True)])
        verdict = {"decision": "reject", "why": "x"}
        check("Decided", (await shop.call("POST", "/v1/reviews/item/f", json=verdict)).body)
        check("Receipt", (await shop.track(event("u1", "Product Viewed"), {})).body)
        check("Slate", (await shop.call("GET", "/v1/recommendations?user_id=u1")).body)
        check("Slate", found := (await shop.call("GET", "/v1/search?user_id=u1&q=tent")).body)
        check("SearchFacts", found["search"])
        check("Suggestions", (await shop.call("GET", "/v1/suggest?q=te")).body)
        check("Token", (await shop.call("POST", "/v1/tokens", json={"user_id": "u1"})).body)
        check("User", (await shop.call("GET", "/v1/users/u1")).body)
        check("Console", found := (await shop.call("GET", "/v1/console")).body)
        check("Process", found["processes"][0])
        check("Online", (await shop.call("GET", "/v1/users")).body)
        check("ItemPage", (await shop.call("GET", "/v1/items")).body)
        check("AuditTrail", (await shop.call("GET", "/v1/audit")).body)
        await shop.log.publish(shop.settings.topic(DEAD_LETTERS), "k", b"?")
        check("DeadLetterList", (await shop.call("GET", "/v1/dead-letters")).body)
        check("DeadLetter", (await shop.call("GET", "/v1/dead-letters/0-0")).body)
        await shop.database.record_version(VERSION)
        check("ModelList", found := (await shop.call("GET", "/v1/models")).body)
        check("ModelVersion", found["versions"][0])
        check("Chosen", (await shop.call("POST", "/v1/models", json={"decision": "automatic", "why": "x"})).body)
        check("Feedback", (await shop.call("GET", "/v1/feedback")).body)
        check("Erasure", (await shop.call("DELETE", "/v1/users/u1")).body)
        check("User", (await shop.call("GET", "/v1/users/u1")).body)
        check("Live", (await shop.call("GET", "/health/live")).body)
        check("Ready", (await shop.call("GET", "/health/ready")).body)
        check("Version", (await shop.call("GET", "/version")).body)
        check("Error", (await shop.call("GET", "/v1/items/a")).body)
        check("Error", (await shop.call("GET", "/v1/recommendations?user_id=u1&n=0")).body)
        shop.log.away = True
        check("Error", (await shop.track(event("u1"))).body)
        assert (await shop.call("GET", "/openapi.json")).body == DOCUMENT
