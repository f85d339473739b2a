"""The console in a real Chromium, against the real web process and worker on memory backends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rec.catalog import Item
from rec.events import Event, EventItem, encode_event
from rec.feedback import FeedbackExample, Place, encode_example
from rec.policy.chosen import Offer
from rec.policy.experiments import Arm, Experiment, assigned
from rec.policy.store import Who
from rec.policy.strategy import Strategy
from rec.store.presence import WORKER_S
from rec.topics import BEHAVIOR, FEEDBACK
from rec.versions import ModelVersion
from rec.vitals import process_name
from tests.browser.chromium import Connection, Page, tab
from tests.browser.conftest import NASTY, as_new, threads_ready
from tests.browser.seeing import CONTRAST, keep_picture, text, too_small, too_wide, violations
from tests.browser.shop import Shop, open_shop

pytestmark = [
    pytest.mark.needs_chromium, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

PARTS = ("overview", "model", "lists", "users", "rules", "catalog", "dead")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """The demo shop with a short past and a product whose title is markup; its worker says that it serves."""
    await threads_ready()
    nasty = Item(item_id="nasty-1", title=NASTY, category="Camping", brand="<b>Bold</b>")
    async with open_shop(tmp_path_factory.mktemp("console"), more=[nasty], events=200) as opened:

        async def serve() -> None:
            while True:
                await opened.local.exchange.set_worker_state(process_name(), "ready")
                await asyncio.sleep(WORKER_S / 3)

        task = asyncio.create_task(serve())
        yield opened
        task.cancel()
        await asyncio.wait([task])


@pytest_asyncio.fixture(loop_scope="module")
async def page(blank: Page, shop: Shop) -> Page:
    """The console, opened with the key and with a first reading."""
    await blank.goto(shop.url + "/console")
    await sign_in(blank, shop.local.settings.api_key.get_secret_value())
    await blank.wait("document.querySelector('#part-overview table') !== null")
    blank.complaints.clear()
    return blank


async def sign_in(page: Page, key: str) -> None:
    await page.wait("document.activeElement === document.querySelector('#key')")
    await page.value(f"document.querySelector('#key').value = {json.dumps(key)}")
    await page.press("Enter")


async def go(page: Page, where: str) -> None:
    await page.value(f"location.hash = '#{where}'; 0")
    await page.wait(f"!document.querySelector('#part-{where.partition('/')[0]}').hidden")


async def fill(page: Page, **values: str) -> None:
    """Type into the dialog that is open, and send it."""
    await page.wait("document.querySelector('dialog[open]') !== null")
    for name, value in values.items():
        await page.value(f"document.querySelector('#ask-{name}').value = {json.dumps(value)}; 0")
    await page.click("dialog[open] .acts button:last-child")


async def looked_at(shop: Shop, user_id: str, item_id: str) -> None:
    now = datetime.now(UTC)
    event = Event(
        event="view_item", event_id=f"{user_id}-{item_id}-{now.timestamp()}", user_id=user_id,
        items=(EventItem(item_id=item_id),), received_ts=now, event_ts=now,
    )  # fmt: skip
    raw = encode_event(event)
    await shop.local.database.append([(event, raw)])
    await shop.local.log.publish(shop.local.settings.topic(BEHAVIOR), user_id, raw)


# ------------------------------------------------------------------ who is let in
async def test_a_wrong_key_is_refused_in_words_and_the_right_one_opens_it_until_it_is_let_go(
    blank: Page, shop: Shop
) -> None:
    await blank.goto(shop.url + "/console")
    assert await text(blank, "#view") == ""
    await sign_in(blank, "not the key")
    await blank.wait("document.querySelector('#wrong').textContent.includes('does not take this key')")
    assert await blank.value("document.querySelector('#view').children.length") == 0
    assert await blank.value("sessionStorage.length") == 0
    await sign_in(blank, shop.local.settings.api_key.get_secret_value())
    await blank.wait("document.querySelector('#part-overview table') !== null")
    assert "key" not in await blank.value("location.href")
    await blank.goto(shop.url + "/console#rules")  # the same tab knows it still
    await blank.wait("document.querySelector('#part-rules') !== null && !document.querySelector('#part-rules').hidden")
    await blank.click("#leave")
    await blank.wait("!document.querySelector('#sign').hidden")
    assert await blank.value("document.querySelector('#view').children.length + sessionStorage.length") == 0


# ------------------------------------------------------------------ figures
@pytest_asyncio.fixture(loop_scope="module")
async def figures(blank: Page, shop: Shop) -> Page:
    """A page without a script, to try the pure module on."""
    await blank.goto(shop.url + "/console/icon.svg")
    return blank


async def say(page: Page, expression: str) -> Any:
    return await page.value(f"import('/console/figures.js').then((f) => ({expression}))")


def process(name: str, at: float, count: float, *buckets: float, began: float = 0.0) -> dict[str, Any]:
    histogram = {"bounds": [0.1, 1.0], "counts": list(buckets or (0, 0, 0)), "sum": 0}
    return {"role": "worker", "name": name, "began": began, "at": at, "counters": {"events": {"moved": count}},
            "gauges": {}, "histograms": {"seconds": histogram}}  # fmt: skip


def reading(at: float, *processes: dict[str, Any]) -> str:
    return json.dumps({"at": at, "processes": processes})


async def test_rates_are_those_of_each_process_with_itself_summed_over_all(figures: Page) -> None:
    before = reading(10, process("a", 9.5, 100), process("b", 9, 50), process("gone", 9, 7), process("again", 9, 900))
    after = reading(
        20, process("a", 19.5, 130), process("b", 19, 60), process("again", 16, 8, began=12),
        process("new", 18, 6, began=15), process("unheard", 19, 1_000, began=3),
    )  # fmt: skip
    found = await say(figures, f"f.between({before}, {after}).rates.events.moved")
    assert found == pytest.approx(30 / 10 + 10 / 10 + 8 / 4 + 6 / 3)
    assert await say(figures, f"f.between({after}, {after}).rates") == {}  # nobody has said anything new


async def test_a_process_has_buckets_of_its_own_for_the_time_between(figures: Page) -> None:
    before = reading(10, process("a", 10, 0, 5, 5, 5), process("b", 10, 0, 90, 90, 90))
    after = reading(20, process("a", 20, 0, 15, 15, 15), process("b", 20, 0, 90, 99, 100))
    own = await say(figures, f"f.between({before}, {after}).own")
    assert {name: kept["seconds"]["counts"] for name, kept in own.items()} == {
        "worker a": [10, 10, 10], "worker b": [0, 9, 10],
    }  # fmt: skip


async def test_quantiles_come_from_what_was_added_to_the_buckets_of_all_processes(figures: Page) -> None:
    before = reading(10, process("a", 10, 0, 5, 5, 5), process("b", 10, 0, 90, 90, 90))
    after = reading(20, process("a", 20, 0, 15, 15, 15), process("b", 20, 0, 90, 99, 100))
    found = await say(
        figures,
        "((h) => [h.counts, ...[.25, .5, .75, .99].map((q) => f.quantile(q, h))])"
        f"(f.between({before}, {after}).buckets.seconds)",
    )
    assert found[0] == [10, 19, 20]
    assert found[1:] == pytest.approx([0.05, 0.1, 0.1 + 0.9 * 5 / 9, 1.0])  # the last: beyond, nobody knows how far
    nothing = {"bounds": [0.1], "counts": [0, 0], "sum": 0}
    assert await say(figures, f"f.quantile(.5, {json.dumps(nothing)})") is None
    assert await say(figures, "f.quantile(.5, undefined)") is None


# ------------------------------------------------------------------ the parts
async def test_what_a_process_has_is_that_of_the_last_minute_and_nothing_is_no_figure(blank: Page, shop: Shop) -> None:
    gap = {"bounds": [0.1, 1.0], "sum": 0}
    web_ = {"role": "web", "name": "w", "began": 0, "version": "1", "counters": {}, "gauges": {}}
    trainer = {"role": "trainer", "name": "t", "began": 0, "version": "1", "counters": {}, "histograms": {},
               "gauges": {"shunxi_train_loss_nats": {"": 0}, "shunxi_learned_behind_seconds": {"": 0}}}  # fmt: skip

    def at(when: float, *counts: int) -> dict[str, Any]:
        told = {**web_, "at": when, "histograms": {"shunxi_loop_gap_seconds": {**gap, "counts": counts}}}
        return {"at": when, "model": None, "processes": [told, {**trainer, "at": when}]}

    await blank.goto(shop.url + "/console")
    rows = await blank.value(
        "Promise.all(['figures', 'overview'].map((name) => import(`/console/${name}.js`))).then(([f, o]) => {"
        " const readings = new f.Readings(); const overview = new o.Overview({readings});"
        f" for (const one of {json.dumps([at(1_000, 0, 100, 100), at(1_010, 50, 150, 150)])})"
        " { readings.add(one); overview.read(one); }"
        " return [...overview.element.querySelectorAll('tbody tr')].map((row) => row.lastChild.textContent); })"
    )
    assert rows == ["0 connections · event loop held up, p99 99 ms", "nothing learned yet"]


async def test_times_and_states_go_on_without_being_read_anew(page: Page) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    rule = {"effect": "boost", "condition": 'category = "Camping"', "ends_at": ends}
    change = (
        "(method, path, body) => fetch(path, {method, body, headers: {'Content-Type': 'application/json',"
        " Authorization: `Bearer ${sessionStorage.getItem('shunxi.console.key')}`}}).then(({ok}) => ok)"
    )
    body = json.dumps(json.dumps({"rule": rule, "why": "a test", "by": "test"}))
    assert await page.value(f"({change})('PUT', '/v1/rules/ending', {body})")
    try:
        await go(page, "rules")
        first = await page.wait("(window.age = document.querySelector('#part-rules time'))?.textContent")
        await page.wait(f"age.textContent !== {json.dumps(first)}")
        assert await page.value("age.isConnected")  # the table was not made anew for it
        state = "document.querySelector('#part-rules td[data-label=State]')"
        assert await text(page, "#part-rules td[data-label=State]") == "holds"
        await page.value("window.real = Date.now; Date.now = () => real() + 2 * 3_600_000; 0")
        await page.wait(f"{state}.textContent === 'over'")
    finally:
        assert await page.value(f"({change})('DELETE', '/v1/rules/ending?why=tidy')")


async def test_a_rule_that_is_added_here_takes_effect_on_a_list_that_is_open_and_ends_again(
    page: Page, shop: Shop, browser: Connection
) -> None:
    async with tab(browser) as other:
        await as_new(other, shop, shop="ruled")
        await other.goto(shop.url + "/")
        await other.wait("document.querySelectorAll('#for-you li[data-item-id]').length >= 12")
        first = await other.value("document.querySelector('#for-you').slate.items[0].item_id")
        shown = f"document.querySelector('#for-you').slate.items.some((item) => item.item_id === '{first}')"
        await go(page, "rules")
        await page.click("#part-rules button.main")
        await fill(page, rule_id="recall", effect="exclude", condition="item_id is", why="recalled", by="ann")
        await page.wait("document.querySelector('dialog .wrong').textContent.includes('condition')")
        await fill(page, condition=f'item_id = "{first}"')
        await page.wait("document.querySelector('#part-rules tbody')?.textContent.includes('recall')")
        await other.wait(f"!{shown}")
        await page.wait("document.querySelector('#part-rules').textContent.includes('api key: ann')")
        await page.click("#part-rules [aria-label='End recall …']")
        await fill(page, why="over")
        await other.wait(shown)
        await page.wait("document.querySelector('#part-rules').textContent.includes('There is no rule')")
        assert page.complaints == ["Failed to load resource: the server responded with a status of 400 (Bad Request) "
                                   f"{shop.url}/v1/rules/recall"]  # fmt: skip


async def test_the_inspector_goes_from_events_to_the_list(page: Page, shop: Shop) -> None:
    await looked_at(shop, "seen/1", "nasty-1")
    await page.value("document.querySelector('#user-find').value = 'seen/1'")
    await go(page, "users")
    await page.click("#part-users form button")
    await page.wait("document.querySelector('#part-users .title h2')?.textContent === 'seen/1'")
    assert "view_item" in await text(page, "#part-users tbody")
    await page.wait("document.querySelector('#part-users').innerText.includes('Camping')")
    await page.click("#part-users section:nth-of-type(4) .head button")
    listed = "#part-users section:nth-of-type(4) [aria-label='List home'] tbody tr"
    await page.wait(f"document.querySelectorAll({json.dumps(listed)}).length === 20")
    row = await text(page, listed)
    assert "%" in row
    became = "[...document.querySelectorAll('[aria-label=\"What became of the candidates\"] tbody tr')]"
    said = await page.value(f"{became}.map((row) => row.innerText)")
    assert len(said) >= 30
    assert sum("place " in row for row in said) == 20
    assert any("ranked too low" in row or "too many of its category" in row for row in said)
    await page.resize(1280, 1600)
    await keep_picture(page, "1280-candidates")
    await page.resize(1280, 800)
    await go(page, "users/nobody-here")
    await page.wait("document.querySelector('#part-users').innerText.includes('Nothing is stored about nobody-here')")
    assert len(page.complaints) == 1  # the browser's own line on the 404


async def test_an_experiment_shows_what_each_arm_earned(page: Page, shop: Shop) -> None:
    database, topic = shop.local.database, shop.local.settings.topic(FEEDBACK)
    for name in ("calm", "bold"):
        await database.put_strategy(Offer(Strategy(name=name), False), Who("test", "to compare"))
    arms = (Arm(name="control", strategy="calm", share=0.5), Arm(name="test", strategy="bold", share=0.5))
    ran = await database.put_experiment(Experiment(name="ab", arms=arms, window_s=0.001), Who("test", "does it pay?"))
    assert ran.since is not None
    at = ran.since.timestamp() + 0.001
    pairs = []
    for n in range(600):
        arm = assigned(ran, f"s{n}", "home")
        assert arm is not None
        place = Place("camping-0001", 0.5, "rules", 1.0, "Camping", True, 1.0 + (n % 3) / 10 + (arm.name == "test"), {})
        known = (f"l{n}", f"s{n}", 0, "home", arm.strategy, "v", at, at, (place,))
        example = FeedbackExample(*known, experiment="ab", arm=arm.name)
        pairs.append((f"l{n}", encode_example(example)))
    await shop.local.log.publish_many(topic, pairs)
    try:
        await go(page, "lists")
        await page.wait("document.querySelectorAll('#part-lists .result tbody tr').length === 2")
        control, test = await page.value(
            "[...document.querySelectorAll('#part-lists .result tbody tr')].map((row) => row.innerText)"
        )
        assert "control" in control
        assert "better" in test
        assert "earns more than control" in test
        await page.value("document.querySelector('#part-lists .result').scrollIntoView()")
        assert await violations(page) == []
        await keep_picture(page, "1280-experiment")
        await page.resize(390, 844, mobile=True)
        assert await too_wide(page, 390) == []
        await keep_picture(page, "390-experiment")
        assert page.complaints == []
    finally:
        await database.drop_experiment("ab", Who("test", "tidy"))
        for name in ("calm", "bold"):
            await database.drop_strategy(name, Who("test", "tidy"))


async def test_the_catalog_shows_titles_as_text_and_dead_letters_their_payload_when_asked(
    page: Page, shop: Shop
) -> None:
    await go(page, "catalog")
    await page.value("document.querySelector('#catalog-find').value = 'nasty-1';"
                     "document.querySelector('#catalog-find').dispatchEvent(new Event('input'))")  # fmt: skip
    await page.wait("document.querySelectorAll('#part-catalog tbody tr').length === 1")
    assert await text(page, "#part-catalog tbody button") == NASTY
    await page.click("#part-catalog tbody button")
    assert await text(page, "dialog h2") == NASTY
    await page.press("Escape")
    raw = b"<img src=x onerror=window.hacked=3>"
    await shop.local.log.publish(shop.local.settings.topic(BEHAVIOR), "u", raw)
    await go(page, "dead")
    await page.wait("(document.querySelector('#part-dead .head button').click(),"
                    "document.querySelector('#part-dead tbody')?.textContent.includes('malformed'))")  # fmt: skip
    assert "hacked=3" not in await page.value("document.body.innerHTML")
    await page.click("#part-dead tbody button")
    await page.wait("document.querySelector('dialog pre') !== null")
    assert await text(page, "dialog pre") == raw.decode()
    assert await page.value("window.hacked") is None
    assert page.complaints == []


# ------------------------------------------------------------------ for everybody
async def test_of_many_versions_the_newest_ten_are_shown_and_more_when_asked(page: Page, shop: Shop) -> None:
    now = datetime.now(UTC)
    for n in range(25):
        made = now - timedelta(seconds=90 - 3 * n)
        await shop.local.database.record_version(
            ModelVersion(f"many-{n:02}", None, "held", "", n, None, made, {}, {"nll": 3.0}, None, "held: not worse")
        )
    names = "[...document.querySelectorAll('#part-model tbody code')].map((code) => code.textContent)"
    await go(page, "model")
    await page.wait(f"{names}.length === 10")
    assert await page.value(names) == [f"many-{n:02}" for n in range(24, 14, -1)]
    more = "[...document.querySelectorAll('#part-model button')].find((one) => one.textContent === 'Show more')"
    await keep_picture(page, "1280-model")
    await page.value(f"{more}.click()")
    await page.wait(f"{names}.length === 25")
    assert await page.value(f"{more}.hidden")


async def test_without_feedback_the_lists_part_says_what_to_set(blank: Page, tmp_path: Path) -> None:
    async with open_shop(tmp_path, events=50, feedback=False) as off:
        await blank.goto(off.url + "/console")
        await sign_in(blank, off.local.settings.api_key.get_secret_value())
        await blank.wait("document.querySelector('#part-overview') !== null")
        await go(blank, "lists")
        await blank.wait("document.querySelector('#part-lists .notice').textContent.includes('REC_FEEDBACK=true')")
        await keep_picture(blank, "1280-lists-off")


async def test_on_a_phone_parts_that_go_on_are_seen_to_go_on(page: Page) -> None:
    await page.resize(390, 844, mobile=True)
    assert await page.value("document.querySelector('#ways').scrollWidth > document.querySelector('#ways').clientWidth")
    assert "gradient" in await page.value("getComputedStyle(document.querySelector('#ways')).maskImage")
    await keep_picture(page, "390-tabs")
    await page.value("document.querySelector('#ways').scrollLeft = 10_000")
    last = "document.querySelector('#ways li:last-child').getBoundingClientRect().right"
    assert await page.value(last) <= 390 - 40  # and at the end nothing lies under it


async def test_every_part_is_clean_for_axe_can_be_read_and_fits_a_phone(page: Page, shop: Shop) -> None:
    await looked_at(shop, "mia", "camping-0001")
    for part in PARTS:
        await go(page, "users/mia" if part == "users" else part)
        await page.wait(f"!document.querySelector('#part-{part}').innerText.includes('Reading')")
        if part == "users":
            await page.wait("document.querySelector('#part-users .title') !== null")
        await page.resize(1280, 900)
        for scheme in ("dark", "light"):
            await page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            assert await page.value(f"({CONTRAST})()") == [], f"{part}, {scheme}"
        assert await violations(page) == [], part
        await keep_picture(page, f"console-{part}")
        await page.resize(390, 844, mobile=True)
        assert await too_wide(page, 390) == [], part
        assert await too_small(page) == [], part
    assert page.complaints == []


async def test_the_skip_link_leads_to_the_part_that_is_shown(page: Page) -> None:
    await go(page, "rules")
    await page.value("document.querySelector('.skip').focus()")
    await page.press("Enter")
    await page.wait("document.activeElement.id === 'main'")
    assert await page.value("[location.hash, document.querySelector('#part-rules').hidden]") == ["#rules", False]
    await go(page, "users")
    await page.value("location.hash = '#toString'; 0")  # no part of ours, though every object has it
    await page.wait("!document.querySelector('#part-overview').hidden")
    assert page.complaints == []


async def test_the_keyboard_alone_reaches_the_parts_and_comes_out_of_a_dialog(page: Page) -> None:
    await page.value("document.querySelector('.skip').focus()")
    for _ in range(6):
        await page.press("Tab")
    assert await text(page, ":focus") == "Rules"
    await page.press("Enter")
    await page.wait("!document.querySelector('#part-rules').hidden")
    assert await page.value("document.activeElement.id") == "main"
    await page.press("Tab")
    await page.press("Enter")
    await page.wait("document.querySelector('dialog[open]')?.contains(document.activeElement)")
    assert await violations(page) == []
    await page.press("Escape")
    await page.wait("document.querySelector('dialog') === null")
    assert await text(page, ":focus") == "Add a rule …"
