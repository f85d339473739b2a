"""Who asks, when a proxy stands between: whose word is taken, and whose is not."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network, IPv6Network, ip_network

import aiohttp
import pytest

from rec.config import load_settings
from rec.errors import ConfigError
from tests.web.world import Shop, open_shop
from web.proxies import client_of, is_local

TRUSTED: list[IPv4Network | IPv6Network] = [ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("127.0.0.1")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # the left one was the asker's to write
        ("10.0.0.1", ["127.0.0.1,10.9.9.9,198.51.100.7 , 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),  # two lines are one list (RFC 9110 §5.3)
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9:5711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("10.0.0.1", ["2001:DB8::7"], "2001:db8::7"),
        ("fd00::1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2, _hidden"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, _hidden, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["[, ]:, 1.2.3, 999.1.1.1"], "10.0.0.1"),
        ("", ["203.0.113.9"], ""),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


def test_without_trusted_proxies_nobody_says_who_they_are() -> None:
    assert client_of("127.0.0.1", ["203.0.113.9"], ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "local"),
    [
        ("127.0.0.1", [], True),
        ("::1", ["127.0.0.1, ::1"], True),
        ("127.0.0.1", ["127.0.0.1, 203.0.113.9"], False),
        ("127.0.0.1", ["203.0.113.9, 127.0.0.1"], False),
        ("127.0.0.1", ["unknown"], False),
        ("10.0.0.1", ["127.0.0.1"], False),
        ("", [], False),
    ],
)
def test_a_request_is_from_this_machine_if_nobody_on_its_way_was_elsewhere(
    peer: str, forwarded: list[str], local: bool
) -> None:
    assert is_local(peer, forwarded) is local


def test_a_proxy_that_is_no_network_is_refused_by_the_setting_s_name() -> None:
    assert load_settings(trusted_proxies="10.0.0.0/8, ::1").trusted_proxies == (
        ip_network("10.0.0.0/8"), ip_network("::1"),
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"REC_TRUSTED_PROXIES: .*10.0.0.1/8 has host bits set"):
        load_settings(trusted_proxies="::1,10.0.0.1/8")


async def connects(shop: Shop, address: str, times: int) -> list[int]:
    """The statuses of so many handshakes that a proxy passes on for this address."""

    async def one() -> int:
        try:
            async with shop.socket(headers={"X-Forwarded-For": f"198.51.100.1, {address}"}):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    return await asyncio.gather(*(one() for _ in range(times)))


async def test_shoppers_behind_a_trusted_proxy_are_counted_each_for_themselves() -> None:
    async with open_shop(connect_rate_per_s=5, trusted_proxies="127.0.0.1") as shop:
        assert 429 in await connects(shop, "203.0.113.1", 12)
        assert set(await connects(shop, "203.0.113.2", 4)) == {101}


async def test_what_a_client_says_of_its_own_address_gives_it_no_more_connections() -> None:
    async with open_shop(connect_rate_per_s=5) as shop:
        tried = await asyncio.gather(*(connects(shop, f"203.0.113.{n}", 1) for n in range(12)))
        assert [429] in tried
