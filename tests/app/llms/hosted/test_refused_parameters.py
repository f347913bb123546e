"""Whether a refusal is about a parameter, in the words of servers that have one."""

import json

import pytest

from app.llms.hosted.refused_parameters import find_refused_parameters, without_parameters

SENT = {
    "model": "m",
    "messages": [],
    "max_tokens": 9,
    "temperature": 0.1,
    "stream": True,
    "stream_options": {},
    "models": ["m", "n"],
    "provider": {"zdr": True},
}


def error(message: str, **more: object) -> object:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."), "max_tokens"),
        (error("'temperature' does not support 0.1, only the default"), "temperature"),
        (error("Unrecognized request arguments supplied: provider, models"), "models provider"),
        (error("Not allowed here", param="provider"), "provider"),
        (
            {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]},
            "stream_options",
        ),
        ({"message": 'json: unknown field "models"'}, "models"),
        ([error("Unsupported value: 'stream'")], "stream stream_options"),
        ("extra fields not permitted: stream_options", "stream_options"),
    ],
)
def test_a_parameter_that_is_named_is_refused(told: object, names: str) -> None:
    answer = told if isinstance(told, str) else json.dumps(told)
    assert find_refused_parameters(answer.encode(), SENT) == set(names.split())


@pytest.mark.parametrize(
    "told",
    [
        error("Provider returned error", provider="Double"),
        error("No such model. Available models: m, n. Others are not supported."),
        error("max_tokens is too large: 9. This model supports at most 8 completion tokens."),
        error("'max_tokens' must be less than 8"),
        error("provider.zdr: expected a boolean"),
        error("Roles have to take turns"),
        {"detail": [{"loc": ["body", "user"], "msg": "Field required", "input": SENT}]},
        {},
        [],
        "[" * 100_000,
        "\xff",
    ],
)
def test_all_else_is_about_something_else(told: object) -> None:
    answer = told if isinstance(told, str) else json.dumps(told)
    assert find_refused_parameters(answer.encode("latin-1"), SENT) == set()


def test_the_limit_goes_by_the_name_that_is_taken() -> None:
    assert without_parameters(SENT, {"max_tokens"})["max_completion_tokens"] == 9
    assert not {"max_tokens", "max_completion_tokens"} & {
        *without_parameters(SENT, {"max_tokens", "max_completion_tokens"})
    }
