"""Rules for the internet addresses that Ibid may connect to when a user or a document names them."""

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from storage.errors import AddressRefused

Network = IPv4Network | IPv6Network

_PORTS = (80, 443)
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)
"""Matches a host that some programs parse as a decimal, octal or hexadecimal IPv4 address."""
_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carriers' networks, and some clouds' metadata
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, and most clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            "2001::/23",  # protocols, such as Teredo, which embeds IPv4 addresses
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which embeds IPv4 addresses
            "3fff::/20",  # documentation
        ),
    )
)
"""Networks from IANA's registries of special-purpose addresses."""
_UNICAST = IPv6Network("2000::/3")
"""All public IPv6 addresses; no loopback, local, multicast, IPv4-mapped or NAT64 addresses."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse CIDRs and single addresses, separated by commas; raise `ValueError`."""
    return tuple(_parse_network(part.strip()) for part in text.split(",") if part.strip())


def _parse_network(text: str) -> Network:
    """Parse a CIDR or an address; raise `ValueError`, also for a host address with a prefix length.

    Such a text is ambiguous: it can mean the host or its network.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither an IP address nor a network such as 10.0.0.0/8"
        ) from None
    address = text.partition("/")[0]
    if network.network_address != ip_address(address):
        raise ValueError(
            f"{text!r} is an address within a network: write {network} for the network, "
            f"or {address} for the address"
        )
    return network


class Guard:
    """A filter that allows public addresses on the ports 80 and 443, and everything in admitted networks."""

    def __init__(self, allowed_networks: Sequence[Network] = ()) -> None:
        self._allowed_networks = allowed_networks

    def check_host(self, host: str, port: int) -> None:
        """Check the host of a URL as written; raise `AddressRefused`. The resolver checks names."""
        try:
            address = ip_address(host)
        except ValueError:
            if _NUMERIC.fullmatch(host):
                message = (
                    f"{host!r} is neither a host name nor an IP address in the usual notation."
                )
                raise AddressRefused(message) from None
            return
        self.check(host, address, port)

    def check(self, host: str, address: IPv4Address | IPv6Address, port: int) -> None:
        """Check the IP address of a host; raise `AddressRefused`, without the address: it may be secret."""
        if any(address in network for network in self._allowed_networks):
            return
        if not _is_public(address):
            raise AddressRefused(
                f"{host} is not on the public internet; the operator can allow its network "
                "in ALLOWED_NETWORKS."
            )
        if port not in _PORTS:
            raise AddressRefused(
                f"{host} may be requested on ports 80 and 443 only, not on {port}."
            )


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return not any(address in network for network in _NOT_PUBLIC)
