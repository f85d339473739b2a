"""What the tests of the pages look at: texts, states, pictures, contrast, and axe's opinion."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rec.state import UserState
from tests.browser.chromium import Page
from tests.browser.shop import Shop


async def text(page: Page, selector: str) -> str:
    return str(await page.value(f"document.querySelector({json.dumps(selector)}).innerText"))


async def state_of(shop: Shop, user_id: str, until: Callable[[UserState], object] = lambda state: True) -> UserState:
    """The worker's state of a user, as soon as it is as wanted."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + 30
    while (state := shop.local.users.get(user_id.encode())) is None or not until(state):
        if clock() > deadline:
            pytest.fail(f"the state of {user_id} never was as wanted: {state}")
        await asyncio.sleep(0.02)
    return state


async def keep_picture(page: Page, name: str) -> None:
    """Save what the page looks like where REC_TEST_SCREENSHOTS says, for a person to look at."""
    if folder := os.environ.get("REC_TEST_SCREENSHOTS"):
        await page.screenshot(Path(folder) / f"{name}.png")


@cache
def _axe() -> str:
    """The script of axe-core, from the package that carries it; nothing of the package itself runs."""
    spec = importlib.util.find_spec("axe_core_python")
    assert spec is not None, "pip install axe-core-python, or make install"
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text()


async def violations(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds against WCAG 2.1 A and AA, and best practice: rule, how bad, where.

    Of a page at rest: a card that is just coming in is half transparent, and no contrast of it means anything.
    """
    await page.value("Promise.allSettled(document.getAnimations().map((moving) => moving.finished)).then(() => 0)")
    await page.value(f"{_axe()}; 0")
    found = await page.value(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then((all) =>"
        " all.violations.map(({id, impact, nodes}) => ({id, impact, where: nodes.slice(0, 3).map((n) => n.html)})))"
    )
    assert isinstance(found, list)
    return found


async def too_wide(page: Page, width: int) -> list[str]:
    """What of the main part stands out of a phone's screen, but for what scrolls by itself or is for the ear alone."""
    assert await page.value("document.documentElement.scrollWidth") <= width
    found = await page.value(
        "[...document.querySelectorAll('main *, header *')].filter((e) =>"
        " !e.closest('.shelf, .chips, .departments, #ways, [role=status]')"
        f" && !e.matches('.unseen') && e.getBoundingClientRect().width &&"
        f" e.getBoundingClientRect().right > {width} + .5)"
        ".map((e) => e.className || e.tagName)"
    )
    assert isinstance(found, list)
    return found


async def too_small(page: Page) -> list[str]:
    """Controls below 24 px (WCAG 2.2, 2.5.8)."""
    found = await page.value(
        "[...document.querySelectorAll('button, summary')].filter((e) => !e.matches('.title') && e.offsetHeight &&"
        " e.offsetHeight < 24).map((e) => e.className || e.textContent)"
    )
    assert isinstance(found, list)
    return found


# WCAG 2.2, 1.4.3: 4.5:1 against the nearest background that is not transparent.
CONTRAST = """() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (c) => (c <= 10.03 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll('main *, header *, footer *')) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !e.getClientRects().length || e.disabled) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push([e.className || e.tagName, Math.round(ratio * 100) / 100]);
  }
  return faint;
}"""
