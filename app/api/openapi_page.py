"""The API's documentation page at `/schema`. It has no scripts and loads nothing from other sites."""

import base64
import hashlib
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

from app.api.forwarded_headers import base_url
from app.api.headers import CONTENT_SECURITY_POLICY
from app.web.pages import page_templates

JSON = dict[str, Any]


def schema_headers() -> dict[str, str]:
    """Return headers that allow only the page's own style."""
    style = page_templates().get_template("openapi.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        CONTENT_SECURITY_POLICY: f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }


class SchemaPage(OpenAPIRenderPlugin):
    """A page of all operations with parameters, bodies and `curl` commands, and a link to the JSON."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: JSON) -> bytes:
        """Return the page as HTML."""
        groups: dict[str, list[JSON]] = {}
        base = base_url(request)
        for path, operations in openapi_schema["paths"].items():
            for method, operation in operations.items():
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(
                    _render_operation(base, path, method.upper(), operation)
                )
        # The link is relative because a proxy may serve this page under an unknown path.
        is_folder = request.scope["raw_path"].endswith(b"/")
        page = page_templates().get_template("openapi.html")
        return page.render(
            title=openapi_schema["info"]["title"],
            description=openapi_schema["info"].get("description", ""),
            json_url="openapi.json" if is_folder else "schema/openapi.json",
            groups=groups,
            schemas=openapi_schema.get("components", {}).get("schemas", {}),
            type_of=_type_name,
            content_of=_body_types,
        ).encode()


def _render_operation(base: str, path: str, method: str, operation: JSON) -> JSON:
    """Return what the page shows of an operation."""
    defaults: JSON = {"summary": "", "description": "", "parameters": [], "responses": {}}
    curl = _curl_command(base, path, method, operation)
    return {**defaults, **operation, "path": path, "method": method, "curl": curl}


def _curl_command(base: str, path: str, method: str, operation: JSON) -> str:
    query = "&".join(
        f"{p['name']}=…"
        for p in operation.get("parameters", [])
        if p["in"] == "query" and p.get("required")
    )
    line = f"curl -X {method} '{base}{path}{'?' + query if query else ''}'"
    request: JSON = operation.get("requestBody") or {}
    body = _body_types(request)
    if "multipart/form-data" in request.get("content", {}):
        return f"{line} -F files=@…  # {body}"
    return f"{line} --json '{{…}}'  # {body}" if body else line


def _body_types(message: JSON) -> str:
    kinds = (_type_name(media.get("schema", {})) for media in message.get("content", {}).values())
    return " or ".join(dict.fromkeys(kinds))


def _type_name(schema: JSON) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(_type_name(one) for one in schema[several])
    kind: str | list[str] = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type_name(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
