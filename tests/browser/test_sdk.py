"""The browser SDK in a real Chromium against a scripted server: every promise of shunxi.d.ts, frame by frame."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import web.sdk
from rec import __version__
from tests.browser.chromium import Connection, Page, tab
from tests.browser.fake import Fake, Talk, slate, token

pytestmark = [
    pytest.mark.needs_chromium, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

PACKAGE = Path(web.sdk.__file__).parent
TYPED = "({code, temporary, message, constructor}) => [constructor.name, code, temporary, message]"
UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


@pytest_asyncio.fixture(loop_scope="module")
async def fake() -> AsyncIterator[Fake]:
    async with Fake().serve() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def page(blank: Page, fake: Fake) -> Page:
    """An empty page of the scripted server's origin, with the module at hand as `sdk`."""
    await load(blank, fake)
    return blank


async def load(page: Page, fake: Fake) -> None:
    await page.goto(fake.url + "/")
    await page.value("import('/shunxi.js').then((sdk) => { window.sdk = sdk; window.log = []; })")
    await page.value("Math.random = () => 0")  # a back-off of 0.1 s, the least there is


async def client(page: Page, given: str = "", **options: object) -> None:
    """Make `client`, started; its states, lists and what went wrong gather in `log`."""
    tokens = given or f"() => {json.dumps(token())}"
    await page.value(
        f"window.client = new sdk.Shunxi({{token: {tokens}, ...{json.dumps(options)}}});"
        "for (const type of ['state', 'refused', 'dropped', 'error'])"
        " client.addEventListener(type, ({detail}) => log.push([type, detail]));"
        "client.subscribe('home', {n: 3}, (slate) => log.push(['list', slate.version, slate.items.length]));"
        "client.start(); 0"
    )


async def logged(page: Page, kind: str) -> list[Any]:
    found = await page.value(f"log.filter(([kind]) => kind === '{kind}').map(([_, ...rest]) => rest)")
    assert isinstance(found, list)
    return found


async def states(page: Page) -> list[str]:
    return [detail["state"] for [detail] in await logged(page, "state")]


async def connected(page: Page, fake: Fake) -> Talk:
    """A started client and its connection, with the home list subscribed."""
    await client(page)
    talk = await fake.talk()
    await talk.welcome("home")
    await page.wait("client.state === 'connected'")
    return talk


# ------------------------------------------------------------------ lists
async def test_it_connects_subscribes_and_shows_what_is_newer(page: Page, fake: Fake) -> None:
    await client(page)
    talk = await fake.talk()
    assert talk.ws.ws_protocol == "shunxi.v1"
    connect = await talk.hear("connect")
    assert (connect["token"].count("."), connect["resume"]) == (2, {})
    await talk.say(id=connect["id"], connect={"client": "c1", "ping": 25})
    wanted = await talk.hear("subscribe")
    assert (wanted["placement"], wanted["n"]) == ("home", 3)
    await talk.say(id=wanted["id"], subscribe={"recovered": False})
    await talk.push(slate(5, "a", "b", "c", "d"))  # more than were asked for
    await talk.push(slate(5, "x"))
    await talk.push(slate(4, "x"))
    await talk.push(slate(9, "x", placement="elsewhere"))
    await talk.push(slate(6, "a"))
    await talk.push(slate(1, "b", epoch="e2"))  # another epoch is news
    await talk.say()
    assert await talk.hear() == {}  # a ping is answered, after all that
    assert await logged(page, "list") == [[5, 3], [6, 1], [1, 1]]
    assert await states(page) == ["connecting", "connected"]


async def test_a_lost_connection_comes_back_and_resumes(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await talk.push(slate(7, "a"))
    await page.wait("log.some(([kind]) => kind === 'list')")
    talk.cut()
    again = await fake.talk()
    connect = await again.welcome("home")
    assert connect["resume"] == {"home": {"epoch": "e1", "version": 7}}
    await page.wait("client.state === 'recovered'")
    await again.push(slate(8, "b"))
    await page.wait("log.some(([kind, version]) => kind === 'list' && version === 8)")
    await again.close(4001, "shutdown")
    await (await fake.talk()).welcome("home")
    await page.wait("client.state === 'recovered'")
    known = await states(page)
    assert known == ["connecting", "connected", *["reconnecting", "recovered"] * 2]


async def test_codes_from_4500_on_end_it_and_say_why(page: Page, fake: Fake) -> None:
    await client(page)
    talk = await fake.talk()
    connect = await talk.hear("connect")
    error = {"code": "invalid_token", "message": "not valid here", "temporary": False}
    await talk.say(id=connect["id"], error=error)
    await talk.close(4500, "invalid_token")
    await page.wait("client.state === 'stopped'")
    assert (await logged(page, "state"))[-1] == [{"state": "stopped", "reason": "invalid_token"}]
    await page.value("new Promise((resolve) => setTimeout(resolve, 150))")  # longer than the least back-off
    assert fake.talks == 1


async def test_a_token_that_ran_out_is_replaced_at_once(page: Page, fake: Fake) -> None:
    await page.value(f"window.tokens = [{json.dumps(token())}, {json.dumps(token(turn=2))}]")
    await client(page, "() => tokens.shift()")
    talk = await fake.talk()
    first = await talk.welcome("home")
    await page.wait("client.state === 'connected'")
    await talk.close(4005, "token_expired")
    second = await (await fake.talk()).welcome("home")
    assert first["token"] != second["token"]
    assert not any("wait" in detail for [detail] in await logged(page, "state"))


async def test_a_token_is_renewed_before_it_runs_out(page: Page, fake: Fake) -> None:
    first, second = token(), token(turn=2)
    await page.value(f"window.tokens = [{json.dumps(first)}, {json.dumps(second)}]")
    await client(page, "() => ({token: tokens.shift() ?? tokens.at(-1), expires_in: tokens.length ? 0.2 : 900})")
    talk = await fake.talk()
    assert (await talk.welcome("home"))["token"] == first
    assert (await talk.hear("refresh"))["token"] == second


async def test_a_token_of_somebody_else_ends_it(page: Page, fake: Fake) -> None:
    await page.value(f"window.tokens = [{json.dumps(token())}, {json.dumps(token('u2'))}]")
    await client(page, "() => tokens.shift()")
    talk = await fake.talk()
    await talk.welcome("home")
    await talk.close(4001)
    await page.wait("client.state === 'stopped'")
    assert "another user" in (await logged(page, "state"))[-1][0]["reason"]


async def test_who_asks_while_a_token_is_on_its_way_shares_it(page: Page, fake: Fake) -> None:
    fake.answers["/v1/search"] = (200, {**slate(1, "a", placement="search"), "slate_id": "s1"})
    await page.value(
        f"window.tokens = [{json.dumps(token())}, {json.dumps(token('u2'))}]; window.asked = 0;"
        "window.client = new sdk.Shunxi({token: async () => tokens[asked++]});"
        "client.addEventListener('state', ({detail}) => log.push(['state', detail]));"
        "window.found = client.search('tent', {track: false}); client.start(); 0"
    )
    talk = await fake.talk()
    await talk.welcome()
    await page.wait("client.state === 'connected'")
    assert await page.value("found.then(({slate_id}) => slate_id)") == "s1"
    assert await page.value("[asked, client.userId]") == [1, "u1"]


async def test_a_token_that_came_for_somebody_before_is_not_taken_for_the_next(page: Page, fake: Fake) -> None:
    await page.value(
        f"window.tokens = [{json.dumps(token())}, {json.dumps(token('u2'))}]; window.give = [];"
        "window.client = new sdk.Shunxi({token: () => new Promise((resolve) => give.push(resolve))});"
        "client.start(); client.stop({forget: true}); client.start(); give[1](tokens[1]); give[0](tokens[0]); 0"
    )
    await (await fake.talk()).welcome()
    await page.wait("client.state === 'connected'")
    assert await page.value("[give.length, client.userId]") == [2, "u2"]


async def test_the_back_off_has_full_jitter_up_to_twenty_seconds(page: Page, fake: Fake) -> None:
    await page.value(
        "Math.random = () => 1; window.real = setTimeout; setTimeout = (f, ms) => real(f, Math.min(ms, 1))"
    )
    await client(page, "() => { throw new Error('the backend is away'); }")
    await page.wait("log.filter(([kind, detail]) => kind === 'state' && detail.wait).length >= 8")
    waits = [detail for [detail] in await logged(page, "state") if "wait" in detail][:8]
    assert [detail["wait"] for detail in waits] == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert {detail["reason"] for detail in waits} == {"the backend is away"}
    await page.value("client.stop()")


async def test_lists_beside_products_begin_at_the_reply(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value(
        "window.end = client.subscribe('beside', {n: 2, itemId: 'p1'},"
        " ({slate_id}) => log.push(['beside', slate_id])); 0"
    )
    one = await talk.hear("subscribe")
    assert (one["placement"], one["item_id"]) == ("beside", "p1")
    await talk.say(id=one["id"], subscribe={"recovered": False})
    await talk.push(slate(3, "a", placement="beside"))
    await page.wait("log.some(([kind]) => kind === 'beside')")
    await page.value("client.subscribe('beside', {n: 2, itemId: 'p2'}, () => {}); 0")
    two = await talk.hear("subscribe")
    assert two["item_id"] == "p2"
    await talk.push(slate(9, "late", placement="beside"))  # still of the first product
    await talk.say(id=two["id"], subscribe={"recovered": False})
    await talk.push(slate(4, "b", placement="beside"))
    await page.wait("log.filter(([kind]) => kind === 'beside').length === 2")
    assert await logged(page, "beside") == [["beside-e1-3"], ["beside-e1-4"]]


async def test_a_placement_that_is_refused_for_now_is_asked_for_again(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("client.subscribe('more', {}, () => {}); 0")
    wanted = await talk.hear("subscribe")
    await talk.say(
        id=wanted["id"], error={"code": "too_many_screens", "message": "later", "temporary": True, "retry_after": 0.05}
    )
    again = await talk.hear("subscribe")
    assert again["placement"] == "more"
    [[error]] = await logged(page, "error")
    assert error["placement"] == "more"


async def test_who_wants_more_of_a_list_gets_it_although_its_version_is_the_same(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await talk.push(slate(7, "a", "b", "c"))
    await page.wait("log.some(([kind]) => kind === 'list')")
    await page.value(
        "client.subscribe('home', {n: 5}, ({version, items}) => log.push(['long', version, items.length])); 0"
    )
    wanted = await talk.hear("subscribe")
    assert wanted["n"] == 5
    await talk.say(id=wanted["id"], subscribe={"recovered": False})
    await talk.push(slate(7, "a", "b", "c", "d", "e"))
    await page.wait("log.filter(([kind]) => kind === 'long').length === 2")
    assert await logged(page, "long") == [[7, 3], [7, 5]]  # what was at hand, then all of it
    talk.cut()
    again = await fake.talk()
    assert (await again.welcome("home"))["resume"] == {"home": {"epoch": "e1", "version": 7}}


async def test_a_wish_for_too_much_is_refused_and_the_list_lives_on(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await talk.push(slate(7, "a", "b", "c"))
    await page.value("client.subscribe('home', {n: 500}); 0")
    wanted = await talk.hear("subscribe")
    await talk.say(id=wanted["id"], error={"code": "invalid_field", "message": "n: too large", "temporary": False})
    await talk.push(slate(8, "a", "b", "c"))
    await page.wait("log.some(([kind, version]) => kind === 'list' && version === 8)")
    talk.cut()
    again = await fake.talk()
    await again.hear("connect")
    await again.say(id=1 + wanted["id"], connect={"client": "c1", "ping": 25})
    assert (await again.hear("subscribe"))["n"] == 3


# ------------------------------------------------------------------ events
async def test_an_event_is_sent_again_with_its_id_until_it_is_acknowledged(page: Page, fake: Fake) -> None:
    await client(page)
    talk = await fake.talk()
    await page.value(
        "client.track('view_item', {items: ['p1']}); client.track('add_to_cart',"
        " {items: [{item_id: 'p1', price: 3}]}); 0"
    )
    await talk.welcome("home")
    track = await talk.hear("track")
    first, second = track["events"]
    assert (first["event"], first["user_id"], first["items"]) == ("view_item", "u1", [{"item_id": "p1"}])
    assert UUID7.match(first["event_id"])
    assert second["items"] == [{"item_id": "p1", "price": 3}]
    talk.cut()  # before the acknowledgement
    again = await fake.talk()
    await again.welcome("home")
    events = await again.receipt()
    assert [event["event_id"] for event in events] == [first["event_id"], second["event_id"]]
    assert events[0]["client_ts"] == first["client_ts"]
    assert events[0]["sent_ts"] > first["sent_ts"]
    await page.wait("client.waiting === 0")


async def test_refusals_are_told_and_what_is_temporary_is_tried_again(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("client.track('view_item', {items: ['p1']}); 0")
    track = await talk.hear("track")
    await talk.say(
        id=track["id"], error={"code": "unavailable", "message": "no broker", "temporary": True, "retry_after": 0.05}
    )
    again = await talk.hear("track")
    assert again["events"][0]["event_id"] == track["events"][0]["event_id"]
    refusal = {"index": 0, "code": "unknown_event", "message": "what is that?"}
    await talk.say(id=again["id"], track={"accepted": 0, "duplicates": 0, "rejected": [refusal]})
    await page.wait("log.some(([kind]) => kind === 'refused')")
    [[[refused]]] = await logged(page, "refused")
    assert (refused["code"], refused["event"]["items"]) == ("unknown_event", [{"item_id": "p1"}])
    await page.wait("client.waiting === 0")


async def test_the_queue_is_bounded_and_gives_up_the_oldest(page: Page, fake: Fake) -> None:
    await page.value(
        f"window.client = new sdk.Shunxi({{token: () => {json.dumps(token())}}});"
        "client.addEventListener('dropped', ({detail}) =>"
        " log.push(['dropped', detail.length, detail[0].items[0].item_id]));"
        "for (let at = 0; at < 1002; at += 1) client.track('view_item', {items: [`p${at}`]}); 0"
    )
    assert await page.value("client.waiting") == 1_000
    assert await logged(page, "dropped") == [[1, "p0"], [1, "p1"]]


async def test_a_page_that_ends_sends_what_waits_and_the_next_one_sends_it_again(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("client.track('purchase', {items: ['p1'], transaction_id: 't1'}); 0")
    track = await talk.hear("track")  # and never an answer
    await load(page, fake)
    body, headers = await fake.post()
    assert [event["event_id"] for event in body["events"]] == [event["event_id"] for event in track["events"]]
    assert headers["Authorization"].startswith("Bearer ")
    await client(page)
    talk = await fake.talk()
    await talk.welcome("home")
    [event] = await talk.receipt()
    assert (event["event_id"], event["transaction_id"]) == (track["events"][0]["event_id"], "t1")
    await page.wait("client.waiting === 0")
    assert json.loads(await page.value("localStorage.getItem('shunxi.queue')")) == []


async def test_what_is_too_much_for_one_frame_goes_out_in_several_and_in_order(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value(
        "const text = 'é'.repeat(5_000); for (let at = 0; at < 40; at += 1)"
        " client.track('view_item', {items: [`p${at}`], context: {text}}); 0"
    )
    sent: list[str] = []
    while len(sent) < 40:
        events = await talk.receipt()
        assert len(json.dumps(events, ensure_ascii=False).encode()) <= 250_000
        sent += [event["items"][0]["item_id"] for event in events]
    assert sent == [f"p{at}" for at in range(40)]


async def test_an_event_that_no_frame_holds_is_refused_and_holds_up_nothing(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value(
        "client.track('view_item', {items: ['huge'], context: {text: 'a'.repeat(300_000)}});"
        "client.track('view_item', {items: ['p1']}); 0"
    )
    [event] = await talk.receipt()
    assert event["items"] == [{"item_id": "p1"}]
    [[[refused]]] = await logged(page, "refused")
    assert (refused["code"], refused["event"]["items"]) == ("too_large", [{"item_id": "huge"}])
    await page.wait("client.waiting === 0")


async def test_a_page_that_ends_sends_what_fits_beside_a_large_event(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value(
        "client.track('view_item', {items: ['large'], context: {text: 'a'.repeat(100_000)}});"
        "client.track('view_item', {items: ['p1']}); 0"
    )
    await talk.hear("track")
    await page.value("client.stop()")
    body, _ = await fake.post()
    assert [event["items"] for event in body["events"]] == [[{"item_id": "p1"}]]
    await client(page)
    await (await fake.talk()).welcome("home")
    await page.wait("client.waiting === 2")  # both are told again, whatever came of the last try


async def test_somebody_else_on_the_same_browser_does_not_send_what_was_left(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("client.track('view_item', {items: ['p1']}); 0")
    await talk.hear("track")
    await load(page, fake)
    await client(page, f"() => {json.dumps(token('u2'))}")
    talk = await fake.talk()
    await talk.welcome("home")
    await page.value("client.track('view_item', {items: ['p2']}); 0")
    [event] = await talk.receipt()
    assert (event["user_id"], event["items"]) == ("u2", [{"item_id": "p2"}])


async def test_forgetting_leaves_nothing_in_the_browser(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("client.click({slate_id: 's', version: 1, items: [{item_id: 'p1'}]}, 'p1'); 0")
    await talk.hear("track")
    session = await page.value("sessionStorage.getItem('shunxi.session')")
    await page.value("client.stop({forget: true})")
    assert await page.value("client.waiting") == 0
    assert await page.value("localStorage.getItem('shunxi.queue')") is None
    assert await page.value("sessionStorage.getItem('shunxi.clicks')") == "[]"
    assert await page.value("sessionStorage.getItem('shunxi.session')") != session


async def test_what_was_in_view_before_somebody_was_forgotten_is_not_told_of_the_next(page: Page, fake: Fake) -> None:
    await page.value(f"window.tokens = [{json.dumps(token())}, {json.dumps(token('u2'))}]")
    await client(page, "() => tokens.shift()")
    await (await fake.talk()).welcome("home")
    await page.value(
        "document.body.innerHTML = '<style>div{height:200px}</style><div id=a></div><div id=b></div>';"
        f"client.observe(document.getElementById('a'), {json.dumps(slate(1, 'a'))}, 'a');"
        "new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen))).then(() => {"  # it is in view
        " client.stop({forget: true}); client.start(); })"
    )
    talk = await fake.talk()
    await talk.welcome("home")
    theirs = {**slate(2, "b"), "slate_id": "theirs"}
    await page.value(f"client.observe(document.getElementById('b'), {json.dumps(theirs)}, 'b'); 0")
    [seen] = await talk.receipt()
    assert (seen["user_id"], seen["items"][0]["item_id"]) == ("u2", "b")
    assert seen["attribution"]["slate_id"] == "theirs"


async def test_what_is_tracked_between_two_shoppers_is_nobodys(page: Page, fake: Fake) -> None:
    await page.value(f"window.tokens = [{json.dumps(token())}, {json.dumps(token('u2'))}]")
    await client(page, "() => tokens.shift()")
    await (await fake.talk()).welcome("home")
    await page.value(
        "client.stop({forget: true}); client.track('dwell', {items: ['p1'], value: 9}); client.start();"
        "client.track('view_item', {items: ['p2']}); 0"
    )
    talk = await fake.talk()
    await talk.welcome("home")
    [event] = await talk.receipt()
    assert (event["event"], event["user_id"]) == ("view_item", "u2")
    assert event["session_id"] == json.loads(await page.value("sessionStorage.getItem('shunxi.session')"))


async def test_a_field_that_is_none_is_refused_by_name(page: Page) -> None:
    message = await page.value(
        f"(() => {{ try {{ new sdk.Shunxi({{token: () => {json.dumps(token())}}})"
        f".track('view_item', {{item: 'p1'}}); }}"
        " catch (error) { return error.message; } })()"
    )
    assert message.startswith("track: no field item; there are slate, items")


async def test_consent_goes_out_at_once_and_with_every_event_after_it(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("client.setConsent({personalization_storage: 'denied', ad_storage: 'denied'}); 0")
    [told] = await talk.receipt()
    assert told["consent"] == {"personalization_storage": "denied", "ad_storage": "denied"}
    assert (told["event"], told["items"], "search_term" in told) == ("search", [], False)
    await page.value(
        "client.setConsent({personalization_storage: 'denied'}); client.track('view_item', {items: ['p1']}); 0"
    )
    [viewed] = await talk.receipt()  # nothing new was chosen, so nothing but the look is told
    assert (viewed["event"], viewed["consent"]) == ("view_item", told["consent"])


async def test_a_choice_of_consent_holds_in_the_shoppers_other_tabs(
    page: Page, browser: Connection, fake: Fake
) -> None:
    talk = await connected(page, fake)
    await page.value("client.setConsent({personalization_storage: 'granted'}); 0")
    await talk.receipt()
    async with tab(browser, beside=page) as other:
        await load(other, fake)
        beside = await connected(other, fake)
        await other.value("client.setConsent({personalization_storage: 'denied'}); 0")
        await beside.receipt()
    await page.wait("client.track('view_item', {items: ['p1']}).consent.personalization_storage === 'denied'")
    assert await page.value("localStorage.getItem('shunxi.consent')") is None  # told, not kept


async def test_where_a_click_led_is_not_kept_while_personalization_is_denied(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    click = f"client.click({json.dumps(slate(4, 'a'))}, 'a');"
    await page.value(click + "client.setConsent({personalization_storage: 'denied'});" + click + "0")
    assert await page.value("sessionStorage.getItem('shunxi.clicks')") == "[]"
    assert await page.value("client.track('add_to_cart', {items: ['a']}).attribution") is None
    await talk.receipt()


# ------------------------------------------------------------------ what is seen and clicked
async def element(page: Page, attributes: str = 'placement="home" n="3"') -> None:
    await page.value(
        f"document.body.innerHTML = '<shunxi-list {attributes}></shunxi-list>'; sdk.defineList(client);"
        "window.list = document.querySelector('shunxi-list'); 0"
    )


async def test_half_of_a_card_for_a_second_is_one_impression_of_that_list(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value(
        "document.body.innerHTML = '<style>div{height:200px} #gap{height:5000px}</style>"
        "<div id=a></div><div id=gap></div><div id=b></div>';"
        f"window.s1 = {json.dumps(slate(1, 'b', 'a'))}; window.s2 = {json.dumps(slate(2, 'a', 'b'))};"
        "for (const id of ['a', 'b']) client.observe(document.getElementById(id), s1, id); 0"
    )
    [seen] = await talk.receipt()
    assert seen["event"] == "view_item_list"
    assert seen["items"] == [{"item_id": "a", "index": 1}]
    assert seen["attribution"] == {"slate_id": "home-e1-1", "version": 1}
    await page.value(
        "client.observe(document.getElementById('a'), s1, 'a'); document.getElementById('b').scrollIntoView(); 0"
    )
    [other] = await talk.receipt()
    assert other["items"] == [{"item_id": "b", "index": 0}]  # the first one was told already
    await page.value("client.observe(document.getElementById('b'), s2, 'b'); 0")
    [again] = await talk.receipt()
    assert (again["items"], again["attribution"]["version"]) == ([{"item_id": "b", "index": 1}], 2)


async def test_a_click_names_the_list_and_what_follows_is_credited_to_it(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await element(page)
    await talk.push(slate(4, "a", "b"))
    await page.wait("list.querySelectorAll('li').length === 2")
    await page.value(
        "list.addEventListener('shunxi-click', (event) => { event.preventDefault();"
        " log.push(['click', event.detail.item.item_id]); })"
    )
    await page.click("li[data-item-id=b] a")
    [click] = await talk.acts(1)
    credit = {"slate_id": "home-e1-4", "version": 4}
    assert (click["event"], click["items"], click["attribution"]) == (
        "select_item",
        [{"item_id": "b", "index": 1}],
        credit,
    )
    assert await logged(page, "click") == [["b"]]
    await page.value(
        "client.track('add_to_cart', {items: ['b']}); client.track('add_to_cart', {items: ['a']});"
        " client.track('purchase', {items: ['a', 'b']}); 0"
    )
    events = await talk.acts(3)
    assert [event.get("attribution") for event in events] == [credit, None, None]


async def test_a_card_is_text_and_its_link_never_a_script(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await element(page)
    nasty = slate(1, "a")
    nasty["items"][0]["item"] = {
        "title": "<img src=x onerror='window.hacked=1'>",
        "url": "javascript:window.hacked=1",
        "price": 3,
    }
    await talk.push(nasty)
    await page.wait("list.querySelectorAll('li').length === 1")
    assert await page.value("list.querySelector('.title').textContent") == "<img src=x onerror='window.hacked=1'>"
    assert await page.value("list.querySelector('a').getAttribute('href')") == "#"
    assert await page.value("list.querySelectorAll('img').length") == 0


async def test_focus_stays_on_its_product_and_the_change_is_said(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await element(page)
    await talk.push(slate(1, "a", "b", "c"))
    await page.wait("list.querySelectorAll('li').length === 3")
    await page.value("list.querySelector('[data-item-id=c] a').focus()")
    await page.value(
        "window.moves = 0; window.real = Element.prototype.animate;"
        "Element.prototype.animate = function (...how) { moves += 1; return real.apply(this, how); }; 0"
    )
    await talk.push(slate(2, "c", "d", "a"))
    await page.wait("list.slate.version === 2")
    assert await page.value("document.activeElement.closest('li').dataset.itemId") == "c"
    assert await page.value("[...list.querySelectorAll('li')].map((li) => li.dataset.itemId)") == ["c", "d", "a"]
    assert await page.value("window.moves") == 3  # two cards travel, one comes
    await page.wait("list.querySelector('[role=status]').textContent === 'List changed: 1 new. First now: Title c'")
    await talk.push(slate(3, "x", "y"))
    await page.wait("list.slate.version === 3")
    assert await page.value("document.activeElement.closest('li').dataset.itemId") == "x"  # what took its place


async def test_an_element_shows_a_part_of_a_list_with_cards_of_the_pages_own(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await element(page)
    await page.value(
        "list.pick = ({item_id}) => item_id !== 'b';"
        "list.render = (item, {index, known}) => Object.assign(known ?? document.createElement('button'),"
        " {textContent: `${index} ${item.item_id}`, type: 'button'}); 0"
    )
    await talk.push(slate(1, "a", "b", "c"))
    await page.wait("list.querySelectorAll('li').length === 2")
    assert await page.value("[...list.querySelectorAll('button')].map((b) => b.textContent)") == ["0 a", "1 c"]


async def test_a_card_shows_what_is_new_about_its_product_and_keeps_the_focus(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await element(page)
    await talk.push(slate(1, "a", "b"))
    await page.wait("list.querySelectorAll('li').length === 2")
    assert await page.value("list.querySelector('a').textContent.trim()") == "Title a €9.50"
    await page.value(
        "window.kept = list.querySelector('[data-item-id=b] a'); list.querySelector('[data-item-id=a] a').focus()"
    )
    dearer = slate(2, "b", "a")
    dearer["items"][1]["item"].update(title="Another title", price=199)
    await talk.push(dearer)
    await page.wait("list.querySelector('[data-item-id=a]').innerText.includes('Another title €199.00')")
    assert await page.value("list.querySelector('[data-item-id=b] a') === kept")
    assert await page.value("document.activeElement === list.querySelector('[data-item-id=a] a')")


async def test_a_card_of_the_pages_own_is_made_anew_only_when_its_product_changed(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await element(page)
    await page.value(
        "list.render = (item, {known}) => { log.push(['known', item.item_id, Boolean(known)]);"
        " return known ?? Object.assign(document.createElement('b'), {textContent: item.item.title}); }; 0"
    )
    await talk.push(slate(1, "a", "b"))
    changed = slate(2, "a", "b")
    changed["items"][0]["item"]["title"] = "New"
    await talk.push(changed)
    await page.wait("list.slate?.version === 2")
    assert await page.value("[...list.querySelectorAll('b')].map((b) => b.textContent)") == ["New", "Title b"]
    assert await logged(page, "known") == [["a", False], ["b", False], ["a", False], ["b", True]]


async def test_an_element_says_whether_it_waits_for_a_list_or_has_an_empty_one(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await element(page)
    await page.wait("list.dataset.state === 'waiting'")
    await talk.push(slate(1))
    await page.wait("list.dataset.state === 'empty'")
    await talk.push(slate(2, "a"))
    await page.wait("list.dataset.state === 'shown'")


# ------------------------------------------------------------------ questions
async def test_search_goes_through_the_connection_and_clicks_name_the_words(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("window.found = client.search('tent', {n: 5, category: 'Camping'}); 0")
    asked = await talk.hear("search")
    assert {key: asked[key] for key in ("q", "n", "category")} == {"q": "tent", "n": 5, "category": "Camping"}
    await talk.say(id=asked["id"], search={"slate": slate(1, "t1", placement="search")})
    [searched] = await talk.receipt()
    assert (searched["event"], searched["search_term"]) == ("search", "tent")
    await page.value("found.then((slate) => client.click(slate, 't1')).then(() => 0)")
    [click] = await talk.receipt()
    assert (click["search_term"], click["attribution"]["slate_id"]) == ("tent", "search-e1-1")


async def test_a_click_on_what_stands_in_for_a_result_does_not_name_the_words(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value("window.found = client.search('zzzzqq', {track: false}); 0")
    asked = await talk.hear("search")
    facts = {"query": "zzzzqq", "total": 0, "fallback": "nothing_matches"}
    await talk.say(id=asked["id"], search={"slate": slate(1, "t1", placement="search", search=facts)})
    await page.value("found.then((slate) => client.click(slate, 't1')).then(() => 0)")
    [click] = await talk.receipt()
    assert (click.get("search_term"), click["attribution"]["slate_id"]) == (None, "search-e1-1")


async def test_a_question_whose_token_ran_out_is_asked_again_with_another_once(page: Page, fake: Fake) -> None:
    first, second = token(), token(turn=2)
    fake.answers = {"/v1/suggest": (200, {"suggestions": []})}
    await page.value(
        f"window.tokens = [{json.dumps(first)}, {json.dumps(second)}];"
        "window.client = new sdk.Shunxi({token: () => tokens.shift()}); 0"
    )
    assert await page.value("client.suggest('t')") == {"suggestions": []}
    fake.expired = {first}
    assert await page.value("client.suggest('te')") == {"suggestions": []}
    fake.expired = {second}
    await page.value(f"window.tokens = [{json.dumps(second)}, 'never asked for']; 0")
    assert (await page.value(f"client.suggest('ten').catch({TYPED})"))[1] == "invalid_token"
    assert await page.value("tokens") == ["never asked for"]


async def test_search_and_suggestions_over_http_carry_the_token_and_errors_are_typed(page: Page, fake: Fake) -> None:
    fake.answers = {
        "/v1/suggest": (200, {"suggestions": [{"text": "tent", "kind": "word"}]}),
        "/v1/search": (501, {"error": {"code": "not_supported", "message": "no search", "temporary": False}}),
    }
    await page.value(f"window.client = new sdk.Shunxi({{token: () => {json.dumps(token())}}}); 0")  # not connected
    assert await page.value("client.suggest('te')") == {"suggestions": [{"text": "tent", "kind": "word"}]}
    error = await page.value(
        "client.search('tent').catch(({code, message, temporary, constructor}) =>"
        " ({code, message, temporary, of: constructor.name}))"
    )
    assert error == {"code": "not_supported", "message": "no search", "temporary": False, "of": "ShunxiError"}
    assert [asked for asked in fake.asked if asked[0].startswith("/v1")] == [
        ("/v1/suggest", {"q": "te", "n": "8"}),
        ("/v1/search", {"n": "20", "q": "tent"}),
    ]


async def test_what_is_undefined_or_null_is_no_filter_on_either_way(page: Page, fake: Fake) -> None:
    fake.answers = {"/v1/search": (200, slate(1, "t1", placement="search"))}
    await page.value(f"window.client = new sdk.Shunxi({{token: () => {json.dumps(token())}}}); 0")  # not connected
    wanted = "{n: 5, category: undefined, brand: null, page: null, in_stock: false, track: false}"
    await page.value(f"client.search('tent', {wanted}).then(() => 0)")
    assert fake.asked[-1] == ("/v1/search", {"n": "5", "in_stock": "false", "q": "tent"})
    talk = await connected(page, fake)
    await page.value(f"client.search('tent', {wanted}).catch(() => 0); 0")
    asked = await talk.hear("search")
    assert {key: value for key, value in asked.items() if key != "id"} == {"n": 5, "in_stock": False, "q": "tent"}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b"Got more than 8190 bytes when reading: ...", ["unreadable", False]),
        (502, b"<html>Bad Gateway</html>", ["unreadable", True]),
        (429, b"slow down", ["unreadable", True]),
        (200, b"<html>Log in</html>", ["unreadable", False]),
        (500, b'{"error":"text"}', ["unreadable", False]),
    ],
)
async def test_an_answer_without_json_is_a_typed_error(
    page: Page, fake: Fake, status: int, body: bytes, expected: list[object]
) -> None:
    fake.answers = {"/v1/suggest": (status, body)}
    await page.value(f"window.client = new sdk.Shunxi({{token: () => {json.dumps(token())}}}); 0")
    error = await page.value(f"client.suggest('te').catch({TYPED})")
    assert error[:3] == ["ShunxiError", *expected]
    assert str(status) in error[3]


async def test_a_server_that_is_away_is_a_typed_error_and_what_was_called_off_is_not(page: Page, fake: Fake) -> None:
    await page.value(
        f"window.client = new sdk.Shunxi({{token: () => {json.dumps(token())}, url: 'http://127.0.0.1:1'}}); 0"
    )
    assert (await page.value(f"client.suggest('te').catch({TYPED})"))[:3] == ["ShunxiError", "unavailable", True]
    name = await page.value(
        "(() => { const off = new AbortController(); const asked = client.suggest('te', {signal: off.signal});"
        " off.abort(); return asked.catch(({name}) => name); })()"
    )
    assert name == "AbortError"


async def test_a_query_that_no_server_takes_is_refused_by_name_before_it_is_sent(page: Page, fake: Fake) -> None:
    await page.value(f"window.client = new sdk.Shunxi({{token: () => {json.dumps(token())}}}); 0")
    before = len(fake.asked)
    for call in ("suggest('a'.repeat(10_000))", "search('a'.repeat(1_025))", "search('')", "search()"):
        name, code, _, message = await page.value(f"client.{call}.catch({TYPED})")
        assert (name, code) == ("ShunxiError", "invalid_field")
        assert message.startswith("q has ")
        assert "1024" in message
    assert await page.value("client.waiting") == 0  # nor is it told as a search
    assert len(fake.asked) == before


# ------------------------------------------------------------------ GA4
async def test_the_data_layer_is_passed_on_what_was_there_before_too(page: Page, fake: Fake) -> None:
    talk = await connected(page, fake)
    await page.value(
        "window.dataLayer = [{event: 'view_item', ecommerce:"
        " {items: [{item_id: 7, price: '19.90', item_name: 'x'}]}}, () => {}];"
        "window.end = sdk.bridgeDataLayer(client);"
        "window.gtag = function () { dataLayer.push(arguments); };"
        "gtag('consent', 'default', {personalization_storage: 'denied'});"
        "gtag('event', 'purchase', {transaction_id: 't1', value: '39.8', currency: 'EUR',"
        " items: [{item_id: 'a', quantity: 2}]});"
        "dataLayer.push({event: 'gtm.click'}, {event: 'add_to_cart', ecommerce: {items: []}},"
        " {event: 'select_item', ecommerce: {items: [{item_id: 'a'}]}});"
        "gtag('consent', 'update', {personalization_storage: 'granted', ad_storage: 'denied'});"
        "end(); dataLayer.push({event: 'view_item', ecommerce: {items: [{item_id: 'late'}]}}); dataLayer.length"
    )
    viewed, bought, granted = await talk.receipt()
    assert (viewed["event"], viewed["items"]) == ("view_item", [{"item_id": "7", "price": 19.9}])
    assert (bought["value"], bought["currency"], bought["transaction_id"]) == (39.8, "EUR", "t1")
    assert bought["items"] == [{"item_id": "a", "quantity": 2}]
    assert "consent" not in bought  # a default is nobody's choice
    assert granted["consent"] == {"personalization_storage": "granted", "ad_storage": "denied"}
    await page.wait("client.waiting === 0")


# ------------------------------------------------------------------ the package
async def test_the_module_is_at_most_ten_kilobytes_packed_and_depends_on_nothing() -> None:
    source = (PACKAGE / "shunxi.js").read_bytes()
    assert len(gzip.compress(source, 9)) <= 10_000
    assert not re.search(rb"^\s*import\b|\bfrom \"", source, re.M)


async def test_the_package_is_complete_and_of_this_version() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert package["version"] == __version__
    assert package["exports"]["."] == {"types": "./shunxi.d.ts", "default": "./shunxi.js"}
    assert package["type"] == "module"
    assert "dependencies" not in package
    assert all((PACKAGE / name).is_file() for name in package["files"])


async def test_the_types_name_everything_that_the_module_has(page: Page) -> None:
    types = (PACKAGE / "shunxi.d.ts").read_text()
    exported = set(await page.value("Object.keys(sdk)"))
    declared = set(re.findall(r"^export (?:declare )?(?:function|class|const) (\w+)", types, re.M))
    assert exported == declared
    for name in ("Shunxi", "ShunxiList"):
        members = await page.value(
            f"Object.getOwnPropertyNames(sdk.{name}.prototype).filter((m) => !/^(constructor|.*Callback)$/.test(m))"
        )
        body = re.search(rf"^export declare class {name} .*?^}}", types, re.M | re.S)
        assert body
        missing = [
            member for member in members if not re.search(rf"^  (?:get |set |readonly )?{member}\b", body[0], re.M)
        ]
        assert missing == [], name
