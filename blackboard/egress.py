"""Going out to addresses that somebody else chose: documents by URL, webhooks.

An address is refused by its looks where that is enough. Otherwise its host is looked up once, every address found must be
public, and the connection goes to one of these very addresses: a name that resolves to another one a moment later gains
nothing (DNS rebinding). No redirect is followed, no proxy of the environment is used, no cookie is kept.
"""

from __future__ import annotations

import asyncio
import re
import socket
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx2
import idna

from blackboard.errors import BlackboardError, UrlNotAllowed, UsageError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""The addresses of a host; raises OSError when it has none."""

PORTS = {"https": 443, "http": 80}
PUBLIC_PORTS = frozenset({443, 8443})
MOST_URL = 2048
MOST_TRIED = 3
"""Addresses of one host that a connection is tried to."""
NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
PRIVATE_NAMES = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "home.arpa",
    "onion",
    "invalid",
    "test",
)
UNICAST_6 = IPv6Network("2000::/3")
CLOSED = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
"""Public by their prefix, yet leading elsewhere: 6to4 and its relays, protocol assignments (Teredo among them),
documentation."""


class EgressFailed(BlackboardError):
    """No answer came, or none that can be used. `timed_out`: it took too long."""

    slug = "egress-failed"

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class EgressTooLarge(EgressFailed):
    """The answer's body is larger than what is taken."""

    slug = "egress-too-large"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its parts. `host`: lower case, ASCII, without brackets; `address`: where it is an address itself."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None


class Answer:
    """Status, header fields, and the body as it comes."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers = response.headers

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body. Raises EgressTooLarge beyond `limit` bytes, EgressFailed for one that breaks off or is coded."""
        if self.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise EgressFailed("the answer is compressed, though that was not asked for")
        size = 0
        try:
            async with aclosing(self._response.aiter_raw()) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise EgressTooLarge(f"the answer holds more than {limit} bytes")
                    yield chunk
        except httpx2.HTTPError as error:
            raise EgressFailed(f"the answer broke off: {type(error).__name__}") from error


class Egress:
    """The one way out. `allow`: networks that may be reached though they are not public, there also by plain http and on
    any port. Raises UsageError for what is no network."""

    def __init__(
        self, allow: Sequence[str] = (), *, resolve: Resolver | None = None, client: httpx2.AsyncClient | None = None
    ) -> None:
        """`resolve` and `client` take the place of the system's resolver and of a fresh client for each exchange."""
        try:
            self._allow: tuple[Network, ...] = tuple(ip_network(text) for text in allow)
        except ValueError as error:
            raise UsageError(f"an address range that may be reached is none: {error}", hint="like 10.0.0.0/8") from None
        self._resolve = resolve or lookup
        self._client = client

    def check(self, url: str) -> None:
        """By its looks alone, without I/O. Raises UrlNotAllowed."""
        self._read(url)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        timeout_s: float,
        connect_s: float = 10.0,
    ) -> AsyncIterator[Answer]:
        """One exchange; `timeout_s` is for all of it, the block included.

        Raises UrlNotAllowed (then no connection was made), EgressFailed.
        """
        target = self._read(url)
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await self._addresses(target)
                client = self._client or httpx2.AsyncClient(trust_env=False, follow_redirects=False)
                try:
                    # Cancelled in the middle of a TLS handshake, the client would leave its socket open.
                    patience = min(connect_s, timeout_s * 0.8)
                    response = await self._send(client, method, target, addresses, headers or {}, content, patience)
                    try:
                        yield Answer(response)
                    finally:
                        await response.aclose()
                finally:
                    if client is not self._client:
                        await client.aclose()
        except TimeoutError:
            raise EgressFailed(f"no complete answer within {timeout_s:g} s", timed_out=True) from None

    async def _send(
        self,
        client: httpx2.AsyncClient,
        method: str,
        target: Target,
        addresses: Sequence[Address],
        headers: Mapping[str, str],
        content: bytes,
        connect_s: float,
    ) -> httpx2.Response:
        usual = target.port == PORTS[target.scheme]
        shown = f"[{target.host}]" if ":" in target.host else target.host
        own = {"accept-encoding": "identity", **headers, "host": shown if usual else f"{shown}:{target.port}"}
        why = "nothing listens there"
        for address in addresses[:MOST_TRIED]:
            place = f"[{address}]" if address.version == 6 else str(address)
            request = client.build_request(
                method,
                f"{target.scheme}://{place}:{target.port}{target.path}",
                headers=own,
                content=content,
                timeout=httpx2.Timeout(None, connect=connect_s),
                # The certificate must be the host's, though the connection goes to an address.
                extensions={"sni_hostname": target.host},
            )
            try:
                return await client.send(request, stream=True, follow_redirects=False)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                why = "no connection" if isinstance(error, httpx2.ConnectTimeout) else _plain(error)
            except httpx2.HTTPError as error:
                raise EgressFailed(f"{target.host} gave no answer: {_plain(error)}") from error
        raise EgressFailed(f"{target.host} cannot be reached: {why}")

    # -- what is allowed -----------------------------------------------------------------------------------------------

    def _read(self, url: str) -> Target:
        if len(url) > MOST_URL:
            raise UrlNotAllowed(f"the address is longer than {MOST_URL} characters")
        if not url.isprintable() or any(character in url for character in ' \\<>"^`{|}'):
            raise UrlNotAllowed("the address holds characters that no URL may hold")
        try:
            found = httpx2.URL(url)
            scheme, raw, port = found.scheme, found.host, found.port
        except (httpx2.InvalidURL, ValueError, UnicodeError):
            raise UrlNotAllowed("it is not an address") from None
        if scheme not in PORTS or (scheme == "http" and not self._allow):
            raise UrlNotAllowed("only https addresses are allowed")
        if found.userinfo or "@" in url.partition("://")[2].partition("/")[0]:
            raise UrlNotAllowed("the address holds a user or a password")
        host = _host(raw)
        address = _literal(host)
        target = Target(scheme, host, port or PORTS[scheme], found.raw_path.decode("ascii"), address)
        if address is not None:
            self._check(target, address)
        elif not self._allow:
            self._check_name(host)
        if address is None and target.port not in PUBLIC_PORTS and not self._allow:
            raise UrlNotAllowed(f"the port {target.port} is not allowed")
        return target

    def _check_name(self, host: str) -> None:
        if "." not in host or any(host == name or host.endswith(f".{name}") for name in PRIVATE_NAMES):
            raise UrlNotAllowed("the address is not a public one")

    def _check(self, target: Target, address: Address) -> None:
        """Raises UrlNotAllowed. What is said names no address: who asks must not learn what a private name resolves to."""
        if any(address in network for network in self._allow if network.version == address.version):
            return
        if not _public(address):
            raise UrlNotAllowed("the address is not a public one")
        if target.scheme != "https":
            raise UrlNotAllowed("only https addresses are allowed")
        if target.port not in PUBLIC_PORTS:
            raise UrlNotAllowed(f"the port {target.port} is not allowed")

    async def _addresses(self, target: Target) -> Sequence[Address]:
        if target.address is not None:
            return (target.address,)
        try:
            found = await self._resolve(target.host, target.port)
        except OSError:
            raise EgressFailed(f"{target.host} has no address") from None
        if not found:
            raise EgressFailed(f"{target.host} has no address")
        for address in found:
            # All of them: one that is not public shows that the name is meant to lead inside.
            self._check(target, address)
        return found


async def lookup(host: str, port: int) -> Sequence[Address]:
    """The system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ip_address(str(place[0]).partition("%")[0]) for *_, place in found))


def _host(raw: str) -> str:
    """Lower case, ASCII, no dot at the end."""
    host = unicodedata.normalize("NFKC", raw).lower().strip("[]")
    if ":" in host:
        return host
    host = host.removesuffix(".")
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise UrlNotAllowed("the host is not a name") from None
    if len(host) > 253 or not all(LABEL.match(label) for label in host.split(".")):
        raise UrlNotAllowed("the host is not a name")
    return host


def _literal(host: str) -> Address | None:
    """The host as an address, if it is one. Raises UrlNotAllowed for one in a form that only some programs read."""
    if ":" in host:
        try:
            return ip_address(host)
        except ValueError:
            raise UrlNotAllowed("the host is not an address") from None
    if NUMERIC.match(host.rpartition(".")[2]):
        # WHATWG: whatever ends in a number is an IPv4 address, in one of many forms; only the usual one is taken.
        try:
            return IPv4Address(host)
        except ValueError:
            raise UrlNotAllowed("the host is not an address") from None
    return None


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _public(address.ipv4_mapped)
        if address.scope_id is not None or address not in UNICAST_6:
            return False
    closed = any(address in network for network in CLOSED if network.version == address.version)
    return address.is_global and not address.is_multicast and not address.is_reserved and not closed


def _plain(error: Exception) -> str:
    """What went wrong, without an address in it."""
    text = str(error).lower()
    if "certificate" in text or "ssl" in text or "tls" in text:
        return "its certificate, or its TLS, is not in order"
    return type(error).__name__
