"""Pages at addresses that strangers give: fetched from the public web, and from nowhere else."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from storage.errors import AddressRefused, SiteUnavailable
from storage.http.guarded import LARGEST, SiteClient, open_site_client
from storage.http.networks import Guard, parse_networks

LOOPBACK = parse_networks("127.0.0.0/8")


class FakeResolver(AbstractResolver):
    """A name server of the test's own; a name may have other addresses each time it is asked for."""

    def __init__(self, **names: list[list[str]]) -> None:
        self._names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self._names:
            raise OSError(None, "no such name")
        answers = self._names[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in found
        ]

    async def close(self) -> None: ...


def redirect(to: str, status: int = 302) -> web.Response:
    return web.Response(status=status, headers={"Location": to})


def gzip_response(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


ANSWERS: dict[str, Callable[[web.Request], web.Response]] = {
    "/page": lambda _: web.Response(text="The lamp burns.", content_type="text/html"),
    "/moved": lambda request: redirect(request.query["to"]),
    "/loop": lambda _: redirect("/loop", 301),
    "/bomb": lambda _: gzip_response(gzip.compress(bytes(30_000_000))),
    "/broken": lambda _: gzip_response(b"no gzip"),
    "/large": lambda _: web.Response(body=bytes(2_000_000)),
    "/cookie": lambda _: web.Response(headers={"Set-Cookie": "session=1"}, text="kept?"),
    "/nowhere": lambda _: web.Response(status=404),
}


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.01)


@asynccontextmanager
async def site(
    *, limit: int = LARGEST, seconds: float = 30
) -> AsyncIterator[tuple[SiteClient, str, list[web.Request]]]:
    """A site on loopback that answers as its path says, a client that may ask it, and what was asked."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return ANSWERS[request.path](request)

    application = web.Application()
    application.router.add_get("/drip", drip)
    application.router.add_get("/{tail:.*}", answer)
    async with TestServer(application, host="127.0.0.1") as server:
        names = FakeResolver(
            docs_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]], evil_test=[["10.0.0.1"]]
        )
        async with open_site_client(
            LOOPBACK, resolver=names, limit=limit, seconds=seconds
        ) as client:
            yield client, f"http://docs.test:{server.port}", seen


@pytest.mark.parametrize(
    "address",
    [
        *(
            "http://127.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1:8000/",
            "http://0/",
            "http://0.0.0.0",
        ),
        *("http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://017700000001/"),
        *("http://0177.0.0.1/", "http://127.0.0.1./", "http://①②⑦.0.0.1/", "http://１２７.0.0.1/"),
        *("http://127。0。0。1/", "http://10.0.0.5", "http://172.16.0.1", "http://172.31.255.255"),
        *(
            "http://192.168.1.1/admin",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.64.0.1",
        ),
        *(
            "http://100.100.100.200/",
            "http://192.0.0.192/",
            "http://198.18.0.1",
            "http://203.0.113.9",
        ),
        *("http://192.88.99.1", "http://224.0.0.1", "http://255.255.255.255", "http://240.0.0.1"),
        *(
            "http://[::1]/",
            "http://[::]/",
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "http://[ff02::1]/",
        ),
        *("http://[fd00:ec2::254]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:8.8.8.8]/"),
        *("http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2001:0:1::]/"),
        *(
            "http://[2001:db8::1]/",
            "http://[::127.0.0.1]/",
            "http://[3fff::1]/",
            "http://[fe80::1%251]/",
        ),
        *("http://inside.test/", "http://both.test/", "http://six.test/", "http://mapped.test/"),
        *("http://public.test:22/", "http://public.test:6333/", "https://public.test:8443/"),
        *("ftp://public.test/", "file:///etc/passwd", "gopher://public.test/", "//public.test", ""),
        *(
            "http://user:pw@public.test/",
            "http://public.test@127.0.0.1/",
            "http://public.test\\@x/",
        ),
        *("http://public.test/\r\nHost: x", "http://public.test/\0", "http://:80/", "http://a b/"),
    ],
)
async def test_what_is_not_on_the_public_web_is_refused(address: str) -> None:
    names = FakeResolver(
        inside_test=[["192.168.7.7"]],
        both_test=[["93.184.215.14", "127.0.0.1"]],
        six_test=[["93.184.215.14", "fd00::1"]],
        mapped_test=[["::ffff:10.0.0.1"]],
        public_test=[["93.184.215.14"]],
    )
    async with open_site_client(resolver=names, seconds=5) as client:
        with pytest.raises(AddressRefused, match=r"^[^\n]{1,200}\.$") as refused:
            await client.get(address)
    assert "pw" not in str(refused.value)
    assert "192.168.7.7" not in str(refused.value), "where a name leads may be a secret"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]
)
def test_what_is_public_is_let_through_on_the_webs_own_ports(address: str) -> None:
    Guard().check("public.test", ip_address(address), 443)
    with pytest.raises(AddressRefused, match="80 and 443"):
        Guard().check("public.test", ip_address(address), 6333)


def test_an_admitted_network_opens_nothing_else() -> None:
    guard = Guard(parse_networks("10.1.0.0/16, fd00:1::/32"))
    guard.check("docs.test", ip_address("10.1.2.3"), 8080)
    guard.check("docs.test", ip_address("fd00:1::5"), 8080)
    for address in ("10.2.0.1", "127.0.0.1", "::ffff:10.1.2.3", "fd00:2::5"):
        with pytest.raises(AddressRefused, match="ALLOWED_NETWORKS"):
            guard.check("docs.test", ip_address(address), 80)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "docs.example", "10.0.0.0/8 x"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|appear|bits"):
        parse_networks(text)


async def test_a_page_is_fetched_from_an_admitted_network() -> None:
    async with site() as (client, base, _):
        page = await client.get(f"{base}/page#part")
    assert (page.url, page.content_type) == (f"{base}/page", "text/html")
    assert page.body == b"The lamp burns."


async def test_redirects_are_followed_and_each_is_checked() -> None:
    async with site() as (client, base, seen):
        assert (await client.get(f"{base}/moved?to=/page")).url == f"{base}/page"
        port = base.rpartition(":")[2]
        for to in (
            f"http://evil.test:{port}/page",
            "http://169.254.169.254/",
            "http://0x7f.1/",
            "http://[::1]:9/",
            "file:///etc/passwd",
            "http://user:pw@docs.test/",
            "//evil.test/",
        ):
            before = len(seen)
            with pytest.raises(AddressRefused):
                await client.get(f"{base}/moved?to={to}")
            assert len(seen) == before + 1, to
        with pytest.raises(SiteUnavailable, match="more than 5 times"):
            await client.get(f"{base}/loop")


async def test_headers_go_to_no_other_origin_and_cookies_to_none() -> None:
    async with site() as (client, base, seen):
        other = base.replace("docs.test", "other.test")
        await client.get(f"{base}/moved?to={other}/page", headers={"Authorization": "Bearer x"})
        assert [request.headers.get("Authorization") for request in seen] == ["Bearer x", None]
        await client.get(f"{base}/cookie")
        await client.get(f"{base}/page")
        assert "Cookie" not in seen[-1].headers


async def test_a_name_that_changes_its_address_is_refused() -> None:
    """The connection goes to what was checked; the next one is checked anew."""
    async with site() as (_, base, seen):
        port = base.rpartition(":")[2]
        names = FakeResolver(docs_test=[["127.0.0.1"], ["10.0.0.1"]])
        for refused in (False, True):
            async with open_site_client(LOOPBACK, resolver=names) as client:
                if refused:
                    with pytest.raises(AddressRefused):
                        await client.get(f"http://docs.test:{port}/page")
                else:
                    await client.get(f"http://docs.test:{port}/page")
    assert names.asked == ["docs.test", "docs.test"], "asked once for each connection"
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/large", "larger than 1,000,000 bytes"),
        ("/bomb", "larger than 1,000,000 bytes"),
        ("/drip", "took longer than 0.5 seconds"),
        ("/broken", "cannot be read"),
        ("/nowhere?token=pw", "answers with status 404"),
    ],
)
async def test_what_cannot_be_used_is_told_in_one_line(path: str, told: str) -> None:
    seconds = 0.5 if path == "/drip" else 30
    async with site(limit=1_000_000, seconds=seconds) as (client, base, _):
        with pytest.raises(SiteUnavailable, match=told) as failed:
            await client.get(base + path)
    assert "pw" not in str(failed.value)


async def test_a_name_that_there_is_not_is_told() -> None:
    async with open_site_client(resolver=FakeResolver()) as client:
        with pytest.raises(SiteUnavailable, match=r"nowhere\.test/ does not answer"):
            await client.get("http://nowhere.test/")


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with site() as (client, base, _):
        assert (await client.get(f"{base}/page")).body
