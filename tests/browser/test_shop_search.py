"""A search and one click, in a real Chromium: how soon the list at home holds what was looked for."""

from __future__ import annotations

import logging
from statistics import median

import pytest

from tests.browser.chromium import Page
from tests.browser.conftest import as_new
from tests.browser.shop import Shop

pytestmark = [
    pytest.mark.needs_chromium, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

log = logging.getLogger(__name__)  # --log-cli-level=INFO shows what was measured

SHOPPERS = 9
WITHIN_MS = 100.0  # from the click to the list, at the median
TRIES = 3  # a busy machine is slow three times in a row only if it is so all the time
SHOWN = "document.querySelectorAll('#for-you li[data-item-id]').length >= 12"
FOUND = "#view shunxi-list li[data-item-id]"
# The list at home stays in the page, and is told what is pushed. Noted in the page itself: when a pointer went down on
# a result, and when the first list after it came that holds Camping: half of its places, and its first one.
WATCH = """
  window.seen = {clicked: null, there: null, before: null};
  const home = document.querySelector('#for-you');
  const camping = () => {
    const kinds = home.slate.items.map(({item}) => item.category === 'Camping');
    return kinds[0] && 2 * kinds.filter(Boolean).length >= kinds.length;
  };
  document.addEventListener('click', (event) => {
    if (!event.target.closest('#view shunxi-list')) return;
    window.seen.clicked = performance.now();
    window.seen.before = camping();
  }, {capture: true});
  home.addEventListener('shunxi-slate', () => {
    if (window.seen.clicked !== null && window.seen.there === null && camping()) window.seen.there = performance.now();
  });
"""


async def took_ms(page: Page, shop: Shop) -> float:
    """A new shopper searches "tent" and clicks the first result."""
    await as_new(page, shop, shop="searcher")
    await page.goto(shop.url + "/")
    await page.wait(SHOWN)
    page.complaints.clear()
    await page.value(WATCH)
    await page.value("document.querySelector('#q').value = 'tent'; document.querySelector('#q').focus()")
    await page.press("Enter")
    await page.wait(f"location.search !== '' && document.querySelector('{FOUND}') !== null")
    await page.click(f"{FOUND} a")
    await page.wait("window.seen.there !== null")
    seen = await page.value("window.seen")
    assert seen["before"] is False  # it is the click that brings them
    items = await page.value("document.querySelector('#for-you').slate.items.map(({item}) => item.category)")
    assert items[0] == "Camping"
    assert 2 * items.count("Camping") >= len(items)
    assert page.complaints == []
    return float(seen["there"] - seen["clicked"])


async def test_after_a_search_and_one_click_the_list_at_home_holds_what_was_looked_for(blank: Page, shop: Shop) -> None:
    found: list[list[float]] = []
    while len(found) < TRIES and (not found or median(found[-1]) >= WITHIN_MS):
        found.append([round(await took_ms(blank, shop), 1) for _ in range(SHOPPERS)])
    log.info("from a click on a result to what was searched for on the list at home, ms: %s", found)
    assert median(found[-1]) < WITHIN_MS, found
