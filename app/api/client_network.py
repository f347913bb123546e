"""The IP addresses of clients."""

import ipaddress
import re

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> IPAddress | None:
    """Parse a client's IP address, with or without port and brackets; None if it is not an IP address."""
    bare = text.strip()
    if found := re.fullmatch(r"\[(.+)\](?::\d+)?|([\d.]+):\d+", bare):
        bare = found[1] or found[2]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_network(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 /64, which is one household's network."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or address)
