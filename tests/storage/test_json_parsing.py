"""What comes from outside is read, or refused with a `ValueError`."""

import pytest

from storage.http.retry import parse_retry_after
from storage.json_parsing import parse_json


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "", "{", b"\xff", b"\x00"]
)
def test_what_cannot_be_read_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        parse_json(text)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("7", 7),
        ("-1", 0),
        ("inf", None),
        ("1e400", None),
        ("nan", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_pause_is_a_number_of_seconds(told: str | None, wanted: float | None) -> None:
    assert parse_retry_after(told) == wanted
