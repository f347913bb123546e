"""Fuzz tests: no request, allowed by the OpenAPI document or not, causes a server error."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.app.cli.commands import run_script
from tests.app.cli.test_serve import run_server
from tests.library import write_docs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """The schema of a server in its own process, with the keeper's manual ingested."""
    folder = tmp_path_factory.mktemp("fuzz")
    assert run_script(folder / "home", "ingest", write_docs(folder / "docs")).returncode == 0
    with run_server(folder / "home") as (_, client):
        yield schemathesis.openapi.from_url(f"{client.base_url}/schema/openapi.json")


CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
]


def test_no_request_finds_a_fault(api: BaseSchema) -> None:
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:

        @hypothesis_settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def knock(case: schemathesis.Case) -> None:
            response = case.call()
            if response.status_code < 400:
                case.validate_response(response, checks=[*CHECKS, status_code_conformance])
                return
            case.validate_response(response, checks=CHECKS)
            assert response.headers["content-type"] == ["application/problem+json"]
            assert response.json()["status"] == response.status_code

        knock()
