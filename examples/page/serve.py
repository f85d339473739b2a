"""A shop's own backend, as small as it gets: it serves one page, and fetches tokens for it with the API key.

    python examples/page/serve.py [--port 8000] [--url http://127.0.0.1:8080] [--user ana]

Run it where `rec up` runs (the key is in .rec/secrets.json), or set REC_API_KEY. A real backend takes the user from its
login. Shunxi has to allow the page's origin: REC_ALLOWED_ORIGINS=http://127.0.0.1:8000.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from aiohttp import ClientSession, web

HERE = Path(__file__).parent


def make_app(url: str, api_key: str, user: str) -> web.Application:
    html = (HERE / "index.html").read_text().replace("http://127.0.0.1:8080", url)

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    async def token(request: web.Request) -> web.Response:
        """What POST /v1/tokens answers, passed on: a token that names this shopper alone, good for some minutes."""
        headers = {"Authorization": f"Bearer {api_key}"}
        asked = {"user_id": user}
        async with ClientSession(headers=headers) as http, http.post(f"{url}/v1/tokens", json=asked) as answer:
            return web.json_response(await answer.json(), status=answer.status)

    app = web.Application()
    app.router.add_routes([web.get("/", page), web.get("/p/{product}", page), web.get("/shunxi-token", token)])
    return app


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="A page with a live list.")
    options.add_argument("--port", type=int, default=8000)
    options.add_argument("--url", default="http://127.0.0.1:8080", help="where Shunxi is")
    options.add_argument("--user", default="ana", help="who is shopping")
    given = options.parse_args()
    key, kept = os.environ.get("REC_API_KEY"), Path(".rec/secrets.json")
    if not key and not kept.is_file():
        raise SystemExit(f"There is no API key: set REC_API_KEY, or run this where `rec up` runs (no {kept} here).")
    key = key or json.loads(kept.read_text())["api_key"]
    web.run_app(make_app(given.url, key, given.user), host="127.0.0.1", port=given.port)
