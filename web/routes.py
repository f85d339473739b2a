"""Every address of the edge, and what answers there. openapi.json says the same to the outside; a test compares."""

from __future__ import annotations

from aiohttp import web

from web.ads import get_ads
from web.console import get_audit, get_console, get_dead_letter, get_dead_letters, get_items, get_users
from web.console_page import get_file, get_page
from web.events import post_events
from web.feedback import get_feedback
from web.health import get_live, get_metrics, get_openapi, get_ready, get_version
from web.items import delete_item, get_item, put_items
from web.models import get_models, post_models
from web.recommendations import get_recommendations, get_search, get_suggest
from web.rules import delete_rule, get_reviews, get_rule, get_rules, post_review, put_rule
from web.sdk import get_sdk
from web.socket import get_socket
from web.sse import get_stream
from web.strategies import (
    delete_experiment,
    delete_strategy,
    get_experiment_result,
    get_experiments,
    get_strategies,
    put_experiment,
    put_strategy,
)
from web.tokens import post_tokens
from web.users import delete_user, get_candidates, get_erasure, get_user


def add_routes(app: web.Application) -> None:
    """The wire contract of section 2 of the design. HEAD is answered where GET only shows what is there anyway."""
    app.router.add_routes(
        [
            web.post("/v1/events", post_events),
            web.get("/v1/recommendations", get_recommendations, allow_head=False),
            web.get("/v1/search", get_search, allow_head=False),
            web.get("/v1/feedback", get_feedback, allow_head=False),
            web.get("/v1/ads", get_ads, allow_head=False),
            web.get("/v1/suggest", get_suggest, allow_head=False),
            web.get("/v1/items", get_items, allow_head=False),
            web.put("/v1/items", put_items),
            web.get("/v1/items/{item_id}", get_item),
            web.delete("/v1/items/{item_id}", delete_item),
            web.get("/v1/rules", get_rules, allow_head=False),
            web.get("/v1/rules/{rule_id}", get_rule, allow_head=False),
            web.put("/v1/rules/{rule_id}", put_rule),
            web.delete("/v1/rules/{rule_id}", delete_rule),
            web.get("/v1/reviews", get_reviews, allow_head=False),
            web.post("/v1/reviews/{kind}/{id}", post_review),
            web.get("/v1/console", get_console, allow_head=False),
            web.get("/v1/audit", get_audit, allow_head=False),
            web.get("/v1/dead-letters", get_dead_letters, allow_head=False),
            web.get("/v1/dead-letters/{letter_id}", get_dead_letter, allow_head=False),
            web.get("/v1/models", get_models, allow_head=False),
            web.post("/v1/models", post_models),
            web.get("/v1/users", get_users, allow_head=False),
            web.get("/v1/users/{user_id}", get_user, allow_head=False),
            web.delete("/v1/users/{user_id}", delete_user),
            web.get("/v1/users/{user_id}/candidates", get_candidates, allow_head=False),
            web.get("/v1/erasures/{erasure_id}", get_erasure, allow_head=False),
            web.get("/v1/strategies", get_strategies, allow_head=False),
            web.put("/v1/strategies/{name}", put_strategy),
            web.delete("/v1/strategies/{name}", delete_strategy),
            web.get("/v1/experiments", get_experiments, allow_head=False),
            web.get("/v1/experiments/{name}/result", get_experiment_result, allow_head=False),
            web.put("/v1/experiments/{name}", put_experiment),
            web.delete("/v1/experiments/{name}", delete_experiment),
            web.post("/v1/tokens", post_tokens),
            web.get("/v1/ws", get_socket, allow_head=False),
            web.get("/v1/sse", get_stream, allow_head=False),
            web.get("/health/live", get_live),
            web.get("/health/ready", get_ready),
            web.get("/metrics", get_metrics),
            web.get("/version", get_version),
            web.get("/openapi.json", get_openapi),
            web.get("/shunxi.js", get_sdk),
            web.get("/console", get_page),
            web.get("/console/{name}", get_file),
        ]
    )
