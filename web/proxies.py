"""peer, X-Forwarded-For → **proxies** → admission, demo. Who asks, when a proxy stands between.

Each proxy appends to X-Forwarded-For the address that it was asked from; whatever stands left of that was the asker's
own to write. So the list is read from the right, as long as who wrote an entry is trusted (REC_TRUSTED_PROXIES). Only
X-Forwarded-For is read, of `Forwarded` (RFC 7239) only that it is there. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import hdrs, web

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PASSED = (hdrs.X_FORWARDED_FOR, hdrs.FORWARDED, hdrs.VIA)  # what a request has that came through a proxy


def parse(text: str) -> Address | None:
    """An address as peers and proxies write it: with a port or without, IPv6 in brackets or not. None: it is none.

    An IPv4 address inside an IPv6 one (::ffff:192.0.2.1, RFC 4291) is the IPv4 address.

    >>> parse("192.0.2.1:4711"), parse("[2001:db8::1]:443"), parse("::ffff:192.0.2.1"), parse("unknown")
    (IPv4Address('192.0.2.1'), IPv6Address('2001:db8::1'), IPv4Address('192.0.2.1'), None)
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of who asks: the rightmost one that is no trusted proxy's, or the leftmost if all are.

    `forwarded`: the lines of X-Forwarded-For. An entry that is no address ends the reading: then it is the proxy that
    wrote it. With a peer that is not trusted, or is no address, it is the peer.

    >>> from ipaddress import ip_network
    >>> client_of("10.0.0.1", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], [ip_network("10.0.0.0/8")])
    '198.51.100.7'
    >>> client_of("192.0.2.1", ["203.0.113.9"], [ip_network("10.0.0.0/8")])
    '192.0.2.1'
    """
    client = parse(peer)
    if client is None:
        return peer
    entries = [entry for line in forwarded for entry in line.split(",")]
    while entries and any(client in network for network in trusted):
        if (told := parse(entries.pop())) is None:
            break
        client = told
    return str(client)


def is_local(peer: str, forwarded: Sequence[str]) -> bool:
    """Whether a request is from this machine, however it came: no entry may name another, whoever wrote it.

    >>> is_local("127.0.0.1", []), is_local("127.0.0.1", ["203.0.113.9"]), is_local("192.0.2.1", ["127.0.0.1"])
    (True, False, False)
    """
    addresses = [parse(peer), *(parse(entry) for line in forwarded for entry in line.split(","))]
    return all(address is not None and address.is_loopback for address in addresses)


def client_address(request: web.Request, trusted: Sequence[Network]) -> str:
    """`client_of` a request."""
    return client_of(request.remote or "", request.headers.getall(hdrs.X_FORWARDED_FOR, ()), trusted)


def from_here(request: web.Request) -> bool:
    """`is_local` of a request. One that says in another way that a proxy passed it on is from elsewhere."""
    told = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
    if not told and any(name in request.headers for name in _PASSED):
        return False
    return is_local(request.remote or "", told)
