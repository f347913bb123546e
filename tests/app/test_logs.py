"""Log lines: one for one event, whatever stands in its fields, and without what must not be read."""

import json
import logging
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logs import LineFormatter, logging_config
from app.settings import Settings
from storage.errors import DatabaseUnavailable, NotFound
from storage.logs import REQUEST_ID, log_failure

TEXT, JSON = LineFormatter("text"), LineFormatter("json")
SECRET = "pLanted9"


def record(event: str, name: str = "ibid.test", **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": name, "msg": event, "levelname": "INFO"})
    vars(made).update(fields)
    return made


def record_of(error: BaseException, name: str = "ibid.test") -> logging.LogRecord:
    try:
        raise error  # noqa: TRY301
    except BaseException:
        return logging.makeLogRecord(
            {"name": name, "msg": "broke", "levelname": "ERROR", "exc_info": sys.exc_info()}
        )


def test_a_line_has_the_event_its_fields_and_the_request() -> None:
    token = REQUEST_ID.set("abc-1")
    try:
        line = TEXT.format(record("turn_failed", status=503, reason="it took too long", model=None))
        told = json.loads(JSON.format(record("turn_failed", status=503, model=None)))
    finally:
        REQUEST_ID.reset(token)
    assert line.partition(" ")[2] == (
        'info ibid.test turn_failed status=503 reason="it took too long" request_id=abc-1'
    )
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "info",
        "logger": "ibid.test",
        "event": "turn_failed",
        "status": 503,
        "request_id": "abc-1",
    }


@given(st.text(), st.text())
def test_nothing_in_a_field_begins_a_line_or_hides(event: str, value: str) -> None:
    for formatter in (TEXT, JSON):
        line = formatter.format(record(event.replace("%", ""), value=value))
        assert len(line.splitlines()) == 1
        assert line.isprintable(), line
        assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Zl", "Zp"}
    told = json.loads(JSON.format(record("event", value=value)))
    assert told["value"] == value or len(value) > 1000


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\u3164", "\ufe0f", "\U000e0041", "\x1b"])
def test_what_is_not_drawn_is_escaped(hidden: str) -> None:
    line = TEXT.format(record("refused", reason=f"a{hidden}b"))
    assert hidden not in line
    assert line.endswith(f'reason="a{json.dumps(hidden)[1:-1]}b"')
    assert "größer 東京" in TEXT.format(record("event", corpus="größer 東京"))


def test_a_traceback_shows_where_but_no_values() -> None:
    try:
        try:
            {}[SECRET]
        except KeyError as error:
            raise ValueError(f"{SECRET} is no number") from error
    except ValueError:
        broken = logging.makeLogRecord({"name": "ibid.x", "msg": "m", "exc_info": sys.exc_info()})
    for line in (TEXT.format(broken), json.loads(JSON.format(broken))["traceback"]):
        assert SECRET not in line
        assert "test_a_traceback_shows_where_but_no_values" in line
        assert "KeyError\n" in line
        assert line.endswith("ValueError")
    assert JSON.format(broken).count("\n") == 0
    assert all(line.startswith("  ") for line in TEXT.format(broken).splitlines()[1:])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AttributeError("'NoneType' object has no attribute 'x'"), "no attribute 'x'"),
        (FileNotFoundError(2, "No such file", SECRET), "FileNotFoundError: No such file"),
        (DatabaseUnavailable("The database is away."), "The database is away."),
        (NotFound("corpus", SECRET), "NotFound"),
        (ExceptionGroup("several", [ValueError(SECRET), TypeError(SECRET)]), "TypeError"),
    ],
)
def test_a_traceback_keeps_the_texts_that_hold_no_data(error: Exception, told: str) -> None:
    line = TEXT.format(record_of(error))
    assert told in line
    assert SECRET not in line


def test_a_failure_is_a_warning_and_a_fault_an_error(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("ibid.test")
    log_failure(log, "job_failed", DatabaseUnavailable("away"), {"kind": "upload"})
    log_failure(log, "job_failed", NotFound("corpus", SECRET), {})
    log_failure(log, "job_failed", ValueError(SECRET), {})
    away, refused, fault = caplog.records
    assert TEXT.format(away).endswith(
        "ibid.test job_failed kind=upload error=DatabaseUnavailable reason=away"
    )
    assert TEXT.format(refused).endswith("job_failed error=NotFound")
    assert (away.levelname, fault.levelname) == ("WARNING", "ERROR")
    assert "Traceback" in TEXT.format(fault)
    assert SECRET not in TEXT.format(refused) + TEXT.format(fault)


def test_of_other_packages_there_is_the_first_line() -> None:
    told = record(f"Task exception was never retrieved\nfuture: {SECRET}", "asyncio", data=SECRET)
    assert TEXT.format(told).endswith("info asyncio Task exception was never retrieved")


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}abc",
        f"ibid_{SECRET}{'x' * 24}",
        f"eyJhbGciOi.eyJzdWIi.{SECRET}",
        f"postgresql://user:{SECRET}@host/x",
        f"the key {SECRET} was refused",
    ],
)
def test_a_credential_is_hidden_wherever_it_stands(text: str) -> None:
    settings = Settings.model_validate({"openrouter_api_key": SECRET, "log_format": "json"})
    config = logging_config(settings)["formatters"]["line"]
    config.pop("()")
    line = LineFormatter(**config).format(record(text, reason=text))
    assert SECRET not in line
    assert "(hidden)" in line


def test_passwords_of_addresses_and_keys_of_several_servers_are_known() -> None:
    settings = Settings.model_validate(
        {
            "database_url": "postgresql://ada:pass%21word@127.0.0.1/x",
            "llm_fallback_api_keys": "a.example=first-key,b.example=second-key",
        }
    )
    secrets = logging_config(settings)["formatters"]["line"]["secrets"]
    assert {"pass%21word", "pass!word", "first-key", "second-key"} <= {*secrets}


def test_what_ends_a_process_is_a_line_like_all_others() -> None:
    program = (
        "from app.logs import configure_logging\n"
        "from app.settings import Settings\n"
        "configure_logging(Settings(log_format='json'))\n"
        f"raise ValueError('{SECRET}')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    (line,) = ended.stderr.splitlines()
    told = json.loads(line)
    assert (ended.returncode, told["level"], told["event"]) == (1, "critical", "process_crashed")
    assert "ValueError" in told["traceback"]
    assert SECRET not in line


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_other_packages_are_held_down(level: str) -> None:
    config = logging_config(Settings.model_validate({"log_level": level}))
    assert config["loggers"]["ibid"]["level"] == level.upper()
    assert config["root"]["level"] in ("WARNING", "ERROR")
    assert config["loggers"]["dbos"]["level"] == "WARNING"
