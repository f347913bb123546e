"""A person asks: the answer streams, is kept, is found again, or fails in a sentence."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.app.api.calls import CHESS, FUEL
from tests.e2e.page.site import PageSite, run_site


def ask(page: Page, question: str) -> None:
    page.get_by_role("textbox", name="Question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def ask_and_wait(page: Page, question: str = FUEL) -> None:
    ask(page, question)
    expect(page.get_by_role("button", name="Copy as Markdown").last).to_be_visible()


def test_an_answer_streams_and_is_then_set_in_type(page: Page, site: PageSite) -> None:
    with site.hold_answer("It burns **2.4 litres** [1]", ".\n\n- Fill it *daily*") as rest:
        ask(page, FUEL)
        article = page.get_by_role("article")
        expect(article.locator(".stream")).to_have_text("It burns **2.4 litres** 1")
        expect(article.get_by_text(re.compile(r"Reading \d passages…"))).to_be_visible()
        expect(article.locator(".answer")).to_have_attribute("aria-busy", "true")
        article.get_by_role("button", name="Footnote 1").click()
        expect(page.get_by_role("complementary")).to_contain_text("2.4 litres of paraffin")
        rest.set()
        expect(article.locator("strong")).to_have_text("2.4 litres")
    page.keyboard.press("Escape")
    expect(article.locator(".answer .note")).to_be_focused()
    expect(article.locator("li em")).to_have_text("daily")
    expect(article.locator(".answer")).not_to_have_attribute("aria-busy", "true")
    expect(page.get_by_role("status")).to_contain_text("complete")


def test_what_a_model_said_before_it_broke_off_goes(page: Page, site: PageSite) -> None:
    with site.hold_answer("It burns 2.4", " litres [1].", instead_of="A lamp [2] of old") as rest:
        ask(page, FUEL)
        expect(page.locator(".stream")).to_have_text("It burns")
        expect(page.get_by_text("Starting the answer again…")).to_be_visible()
        rest.set()
        expect(page.locator(".answer")).to_have_text("It burns 2.4 litres 1.")
    expect(page.get_by_role("status")).to_contain_text("with 1 footnotes")


def test_a_turn_can_be_stopped(page: Page, site: PageSite) -> None:
    with site.hold_answer("It burns oil", " daily."):
        ask(page, FUEL)
        expect(page.locator(".stream")).to_have_text("It burns")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("alert")).to_have_text("Stopped.")
    expect(page.get_by_role("textbox", name="Question")).to_have_value(FUEL)


def test_a_declined_question_shows_the_nearest_sections(page: Page) -> None:
    ask(page, CHESS)
    declined = page.locator(".declined")
    expect(declined).to_contain_text("outside the scope of the documentation")
    section = declined.get_by_role("listitem").first
    expect(section.get_by_role("link", name="Open")).to_have_attribute(
        "href", re.compile("https://keeper.example/")
    )
    section.get_by_role("button").click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("heading", name="Section")).to_be_focused()
    expect(panel.locator(".source")).not_to_be_empty()
    expect(panel.locator("mark")).to_have_count(0)


def test_conversations_are_listed_reopened_and_deleted(page: Page, site: PageSite) -> None:
    ask_and_wait(page)
    ask_and_wait(page, "And how often is it filled?")
    address = page.url
    conversations = page.get_by_role("navigation", name="Conversations")
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()

    conversations.get_by_role("link", name=FUEL).first.click()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.locator(".answer .note").first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(2)
    page.go_back()
    expect(page.get_by_role("article")).to_have_count(0)
    page.go_forward()
    expect(page.get_by_role("article")).to_have_count(2)
    assert page.url == address

    count = conversations.get_by_role("listitem").count()
    current = conversations.get_by_role("listitem").filter(has=page.locator("[aria-current]"))
    current.hover()
    current.get_by_role("button").click()
    expect(conversations.get_by_role("listitem")).to_have_count(count)
    current.get_by_role("button", name="Really delete").click()
    expect(conversations.get_by_role("listitem")).to_have_count(count - 1)
    expect(page.get_by_role("article")).to_have_count(0)
    page.goto(address)
    expect(page.get_by_role("alert")).to_contain_text("There is no conversation")


def test_the_corpus_can_be_chosen(page: Page) -> None:
    page.get_by_role("combobox", name="In").select_option("awkward")
    ask(page, FUEL)
    expect(page.locator(".declined")).to_be_visible()


def test_an_answer_is_copied_as_markdown_with_footnotes(page: Page, site: PageSite) -> None:
    with site.answer_with("It burns 2.4 litres [1]. Not `x[1]`.\n\n```py\nx[1]\n```"):
        ask_and_wait(page)
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    text, _, note = copied.rpartition("\n\n")
    assert text == "It burns 2.4 litres [^1]. Not `x[1]`.\n\n```py\nx[1]\n```"
    assert re.fullmatch(
        r"\[\^1\]: \[Lighting the lamp › Fuel\]\(<https://keeper\.example/\S+>\): “The lamp .+”\n",
        note,
    )


def test_a_turn_that_fails_says_so_and_keeps_the_question(page: Page, site: PageSite) -> None:
    with site.answer_with("It ", "burns", fails_after=1):
        ask(page, FUEL)
        expect(page.get_by_role("alert")).to_have_text("The model hung up.")
    expect(page.get_by_role("textbox", name="Question")).to_have_value(FUEL)
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copy as Markdown")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("This question has no answer.")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)


def test_a_server_that_has_gone_is_told(page: Page, site: PageSite) -> None:
    page.context.set_offline(True)
    ask(page, FUEL)
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(page.get_by_role("textbox", name="Question")).to_have_value(FUEL)
    page.context.set_offline(False)
    ask(page, FUEL)
    expect(page.get_by_role("button", name="Copy as Markdown")).to_be_visible()


def test_an_empty_ibid_says_what_to_run(
    page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("empty")
    (folder / "docs").mkdir()
    (folder / "docs" / "oil.md").write_text("# Oil\n\nOil is kept in the cellar.\n")
    with run_site(folder) as empty:
        other = page.context.new_page()
        other.goto(empty.url)
        expect(other.get_by_role("heading", level=2)).to_have_text("Nothing has been ingested yet")
        expect(other.locator("#welcome code")).to_have_text("ibid ingest path/to/docs")
        empty.ingest(folder / "docs")
        other.get_by_role("button", name="Refresh").click()
        expect(other.get_by_text("Answers come from 1 page ")).to_be_visible()
        other.close()
