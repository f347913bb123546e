"""Addresses of pages are written anew, and lead where they led."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.http.urls import normalize_web_address


@pytest.mark.parametrize(
    ("given_", "written"),
    [
        ("https://docs.example.com", "https://docs.example.com"),
        (" https://docs.example.com", "https://docs.example.com"),
        ("https://docs.example.com/guide/", "https://docs.example.com/guide/"),
        ("HTTPS://Docs.Example.COM:443/Guide", "https://docs.example.com/Guide"),
        ("http://localhost:8000/docs", "http://localhost:8000/docs"),
        ("http://h:80//a//b/./c/../d", "http://h//a//b/d"),
        ("https://h/a/%2e%2E/b", "https://h/b"),
        ("https://h/../..", "https://h/"),
        ("https://h/a/b/..", "https://h/a/"),
        (
            "https://h/a b(c)<i>\"'`[x]{y}|^",
            "https://h/a%20b%28c%29%3Ci%3E%22%27%60%5Bx%5D%7By%7D%7C%5E",
        ),
        ("https://h/100%/%41%zz", "https://h/100%25/%41%25zz"),
        ("https://h/灯/é", "https://h/%E7%81%AF/%C3%A9"),
        ("https://bücher.example/ß", "https://xn--bcher-kva.example/%C3%9F"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://例え。テスト", "https://xn--r8jz45g.xn--zckzah"),
        ("http://[::0:1]:8080/x", "http://[::1]:8080/x"),
        ("http://my_docs.internal/~user/", "http://my_docs.internal/~user/"),
        ("https://docs.example/#", "https://docs.example/#"),
        ("https://docs.example/read?page=", "https://docs.example/read?page="),
        ("https://h/a?b=(c)#<d>", "https://h/a?b=%28c%29#%3Cd%3E"),
    ],
)
def test_an_address_is_written_anew(given_: str, written: str) -> None:
    assert normalize_web_address(given_) == written
    assert normalize_web_address(written) == written


@pytest.mark.parametrize(
    "given_",
    [
        *("", "docs.example.com", "//docs.example.com", "/docs", "ftp://x", "file:///etc/passwd"),
        *(
            "javascript:alert(1)",
            "data:text/html,x",
            "mailto:a@b",
            "http:",
            "http://",
            "https:///x",
        ),
        *("http://user@h", "http://user:pw@h/", "http://h@evil.example", "http://a\\@evil.example"),
        *("http://h:port", "http://h:99999", "http://[::1", "http://[v1.x]/", "http://[::1]x/"),
        *("http://h/a\nb", "http://h/\r\nX: y", "http://h/\0", "http://h/\x1b[31m", "http://h\t/x"),
        *("http://h/\u202egnp.exe", "http://h/\u200b", "http://h/\u2028x", "http://h/\ud800"),
        *(
            "http://h/\U000e0041",
            "http://ex%61mple.com",
            "http://a b/",
            "http://h<i>/",
            'http://h"/',
        ),
        *("http://-h", "http://a..b", "http://.", "http://h)/", f"http://{'h' * 64}"),
        *(f"http://{'h.' * 130}h", f"http://h/{'x' * 2_000}", "http://\uff1ah"),
    ],
)
def test_what_cannot_be_an_address_is_refused(given_: str) -> None:
    with pytest.raises(ValueError, match=r"^it [^\n]+$") as refused:
        normalize_web_address(given_)
    assert "pw" not in str(refused.value)


@given(
    st.text(max_size=20)
    | st.text("/.%2eE#?&=()[]<>\"'` \\:@abé\n", max_size=20)
    | st.sampled_from(["", "/a/../b", "?q=1#x"])
)
def test_whatever_is_accepted_is_safe_to_show_and_stays_as_it_is(rest: str) -> None:
    for begin in ("https://docs.example/", "https://docs.example", "http://"):
        try:
            written = normalize_web_address(begin + rest)
        except ValueError:
            continue
        assert re.fullmatch(r"https?://[\w.\[\]:-]+[\w./~!$&*+,;=:@%?#-]*", written, re.ASCII)
        assert normalize_web_address(written) == written
