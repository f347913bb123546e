"""Tests of metadata filters over HTTP: valid, empty and refused ones."""

import json

import pytest

from tests.app.api.calls import API, FUEL, Client, ask, assert_problem, start_conversation


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('{"colour": "red"}', "not 'colour'"),
        (
            '{"version": "2.x"}',
            "No page has the version '2.x'. No page in these corpora has a version.",
        ),
        ('{"version": 2}', "JSON object of texts"),
        ("[]", "JSON object of texts"),
        ("version=2.x", "JSON object of texts"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(client: Client, given: str, told: str) -> None:
    response = client.get(f"{API}/search", params={"q": FUEL, "filter": given})
    assert_problem(response, 400, told)


def test_an_empty_filter_is_none(client: Client) -> None:
    plain = client.get(f"{API}/search", params={"q": FUEL}).json()
    for given in ("", "{}"):
        assert client.get(f"{API}/search", params={"q": FUEL, "filter": given}).json() == plain
    assert ask(client, start_conversation(client), filter={}).status_code == 201


@pytest.mark.parametrize("given", [{"colour": "red"}, {"version": "2.x"}, {"version": 2}, "x", []])
def test_a_question_is_filtered_by_an_object(client: Client, given: object) -> None:
    assert_problem(ask(client, start_conversation(client), filter=given), 400)


def test_the_schema_names_the_filter(client: Client) -> None:
    schema = json.dumps(client.get("/schema/openapi.json").json())
    assert schema.count('"filter"') >= 2
