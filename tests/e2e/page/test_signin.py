"""The page where people sign in: sent away for a token, let in with it, and out again."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.doubles.issuer import Issuer
from tests.e2e.page.site import PageSite, run_site
from tests.library import write_docs

LINK = "https://docs.example/ask?to=ibid&x=<b>"


@pytest.fixture(scope="module")
def guarded(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSite]:
    folder = tmp_path_factory.mktemp("guarded")
    with run_site(folder, **issuer.settings(), auth_sign_in_url=LINK) as site:
        site.ingest(write_docs(folder / "docs"))
        yield site


def open_page(context: BrowserContext, site: PageSite, token: str) -> Page:
    page = context.new_page()
    page.goto(f"{site.url}#token={token}")
    return page


def test_a_stranger_is_told_where_to_sign_in(context: BrowserContext, guarded: PageSite) -> None:
    page = context.new_page()
    page.goto(guarded.url)
    expect(page.get_by_role("alert")).to_have_text("Sign in to ask. Sign in")
    assert page.get_by_role("link", name="Sign in").get_attribute("href") == LINK
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_hidden()


def test_who_comes_with_a_token_asks_and_the_address_forgets_it(
    context: BrowserContext, guarded: PageSite, issuer: Issuer
) -> None:
    page = open_page(context, guarded, issuer.token("ada"))
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    assert "token" not in page.url
    page.get_by_role("textbox", name="Question").fill("How much paraffin does the lamp burn?")
    page.keyboard.press("Enter")
    expect(page.locator("#thread .verdict").first).to_be_visible()
    page.reload()
    expect(page.locator("#thread .verdict").first).to_be_visible()
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("alert")).to_contain_text("Sign in")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_contain_text("Sign in to ask.")


def test_a_token_that_ended_is_told_and_the_question_is_kept(
    context: BrowserContext, guarded: PageSite, issuer: Issuer
) -> None:
    page = open_page(context, guarded, issuer.token("bea"))
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    page.evaluate("sessionStorage.setItem('ibid-token', 'worn.out.token')")
    page.reload()
    expect(page.get_by_role("alert")).to_have_text(re.compile("no longer signed in"))
    page.get_by_role("textbox", name="Question").fill("How much paraffin?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Question")).to_have_value("How much paraffin?")
    page.goto(f"{guarded.url}#token={issuer.token('bea')}")
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()


def test_without_sign_in_nothing_of_it_is_shown(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(page.get_by_role("alert")).to_have_count(0)
