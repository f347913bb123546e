"""The examples in `.deploy` agree with the code: commands, settings, ports, times and versions."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.api import create_app
from app.cli import main
from app.cli.serve import serve
from app.settings import Settings
from tests.app.cli.commands import SCRIPT, parse

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / ".deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEFAULTS = Settings.model_construct()
SETTINGS = {name.upper() for name in Settings.model_fields}
OURS = ("compose.yaml", "compose.services.yaml")
PORT = next(option.default for option in serve.params if option.name == "port")
IDLE = 30
"""Seconds after which the server ends an idle connection."""


def instructions() -> dict[str, list[str]]:
    """Those of the Dockerfile, by their names."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        found[name].append(rest)
    return found


def compose(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())


def unit() -> dict[str, list[str]]:
    lines = (DEPLOY / "ibid.service").read_text().splitlines()
    found: dict[str, list[str]] = defaultdict(list)
    for name, equals, value in (line.partition("=") for line in lines):
        if equals and not name.startswith("#"):
            found[name].append(value)
    return found


def version(package: str) -> list[str]:
    pin = next(pin for pin in PROJECT["project"]["dependencies"] if pin.startswith(f"{package}=="))
    return pin.partition("==")[2].split(".")


def test_the_image_is_of_a_python_that_ibid_runs_on_and_one_build_of_it() -> None:
    bases = {base.partition(" AS ")[0] for base in instructions()["FROM"]}
    (base,) = bases
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", base), "a tag that does not move"


def test_the_image_runs_a_command_of_ibid_as_nobody_in_particular() -> None:
    told = instructions()
    command = json.loads(told["ENTRYPOINT"][0]) + json.loads(told["CMD"][-1])
    assert command[0] == "ibid"
    parse(main, command[1:])
    assert told["EXPOSE"] == [str(PORT)]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", told["USER"][0]), "a number that is not root's"
    assert f"IBID_HOME={told['VOLUME'][0]} " in told["ENV"][-1]


def test_the_health_of_the_image_is_that_of_the_api() -> None:
    check = instructions()["HEALTHCHECK"][0]
    (path,) = re.findall(rf"http://127\.0\.0\.1:{PORT}(/[a-z/]+)", check)
    assert path in create_app(Settings()).openapi_schema.to_schema()["paths"]


def test_what_the_image_is_built_of_is_sent_to_the_builder() -> None:
    sent = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    own = [line for line in instructions()["COPY"] if not line.startswith("--from")]
    copied = {name for line in own for name in line.split()[:-1]}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {*packages, PROJECT["project"]["readme"]} <= copied


@pytest.mark.parametrize("name", OURS)
def test_services_are_set_up_by_settings_and_commands_that_exist(name: str) -> None:
    services = compose(name)["services"]
    ours = [service for service in services.values() if service["image"] == "ibid"]
    assert ours
    for service in ours:
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert set(service["environment"]) <= SETTINGS
        parse(main, service["command"])
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert int(service["stop_grace_period"].removesuffix("s")) > DEFAULTS.shutdown_seconds
        assert service.get("ports", []) in ([], [f"127.0.0.1:{PORT}:{PORT}"])
        volumes = {place.partition(":")[0] for place in service["volumes"]}
        assert volumes <= set(compose(name)["volumes"])
        assert set(service.get("depends_on", ())) <= set(services)


def test_the_services_that_ibid_is_pointed_at_are_there() -> None:
    services = compose("compose.services.yaml")["services"]
    values = services["ibid"]["environment"]
    urls = [value for name, value in values.items() if re.match(r"[a-z]+://", value)]
    hosts = {re.sub(r".*//(?:.*@)?|[:/].*", "", url) for url in urls}
    assert hosts == {"postgres", "qdrant", "redis"}
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+", service["image"]) or service["image"] == "ibid", name
    server = services["qdrant"]["image"].partition(":v")[2].split(".")
    assert server[:2] == version("qdrant-client")[:2], "no other is promised to work"


def test_open_to_anyone_is_open_to_this_machine_only() -> None:
    service = compose("compose.yaml")["services"]["ibid"]
    assert "--insecure" in service["command"]
    names = Settings(allowed_hosts=service["environment"]["ALLOWED_HOSTS"]).hosts
    assert names == ["127.0.0.1", "localhost"]


def test_the_unit_runs_a_command_of_ibid_and_waits_for_it_to_stop() -> None:
    told = unit()
    program, *arguments = shlex.split(told["ExecStart"][0])
    assert program == "/opt/ibid/bin/ibid"
    parse(main, arguments)
    assert int(told["TimeoutStopSec"][0]) > DEFAULTS.shutdown_seconds
    assert told["KillMode"] == ["mixed"]
    assert f"IBID_HOME=/var/lib/{told['StateDirectory'][0]} " in told["Environment"][0]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_every_line_of_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "ibid.service").read_text().replace("/opt/ibid/bin/ibid", str(SCRIPT))
    (tmp_path / "ibid.service").write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", tmp_path / "ibid.service"]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_proxies_wait_for_answers_and_let_uploads_through(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert f"127.0.0.1:{PORT}" in text
    waits = re.findall(r"read_timeout (\d+)s", text)
    assert waits
    assert all(int(wait) > DEFAULTS.llm_answer_seconds for wait in waits)
    largest = re.findall(r"(?:client_max_body_size|max_size) (\d+)m", text, re.IGNORECASE)
    assert largest
    assert all(int(size) * 1_000_000 > DEFAULTS.upload_limit for size in largest)
    assert all(int(idle) < IDLE for idle in re.findall(r"keepalive(?:_timeout)? (\d+)s", text))
    for named in re.findall(r"\b[A-Z]+_[A-Z_]+\b", text):
        assert named in SETTINGS
