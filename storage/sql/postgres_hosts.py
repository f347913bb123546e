"""Parse the servers in a Postgres URL: one or several, by name, IP address or socket."""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from storage.service_urls import is_ipv6

_PORT, _LAST_PORT = 5432, 65_535
_NAME = re.compile(r"(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?", re.ASCII)
_IN_BRACKETS = re.compile(r"\[([^\]]+)\](?::(.*))?")


@dataclass(frozen=True, slots=True)
class Host:
    """A server; its `name` is a folder if it is reached through a socket."""

    name: str
    port: int = _PORT

    def __str__(self) -> str:
        """Return the host as error messages name it."""
        if self.name.startswith("/"):
            return self.name
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    def direct(self) -> "Host":
        """Return the host behind Neon's pooler."""
        first, dot, domain = self.name.partition(".")
        return replace(self, name=first.removesuffix("-pooler") + dot + domain)


def parse_hosts(authority: str, hosts: str, ports: str) -> tuple[Host, ...]:
    """Parse `HOST:PORT,…`, or the `host` and `port` parameters of the URL; raises `ValueError`."""
    if authority and (hosts or ports):
        raise ValueError("name host and port once: before the database, or as host= and port=")
    texts = (unquote(authority) or hosts).split(",")
    numbers = ports.split(",") if ports else [""]
    if len(numbers) not in (1, len(texts)):
        raise ValueError("name one port, or as many as hosts")
    if len(numbers) == 1:
        numbers *= len(texts)
    return tuple(_parse_host(text, number) for text, number in zip(texts, numbers, strict=True))


def _parse_host(text: str, port: str) -> Host:
    if text.startswith("/"):
        return Host(text, _parse_port(port))
    if found := _IN_BRACKETS.fullmatch(text):
        return Host(_check_ipv6(found[1]), _parse_port(found[2] or port))
    if text.count(":") > 1:
        return Host(_check_ipv6(text), _parse_port(port))
    name, _, own_port = text.partition(":")
    if not name:
        raise ValueError("name the host, or the folder of its socket as ?host=/run/postgresql")
    if not _NAME.fullmatch(name):
        raise ValueError("its host is neither a host name nor an IP address")
    return Host(name, _parse_port(own_port or port))


def _parse_port(text: str) -> int:
    if not text:
        return _PORT
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or not 0 < int(text) <= _LAST_PORT:
        raise ValueError(f"its port must be a number from 1 to {_LAST_PORT}")
    return int(text)


def _check_ipv6(text: str) -> str:
    if not is_ipv6(text):
        raise ValueError("its host is neither a host name nor an IP address")
    return text
