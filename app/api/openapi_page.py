"""The API's documentation page at `/schema`. It has no scripts and loads nothing from other sites."""

import base64
import hashlib
from html import escape
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

from app.api.headers import CONTENT_SECURITY_POLICY
from app.api.proxies import base_url

JSON = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; text-transform: capitalize; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: .5rem 1rem }
summary { cursor: pointer; }
code, pre { font: .9em/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; padding: .6rem; }
.method { display: inline-block; min-width: 5rem; font-weight: 700; }
.what { opacity: .75; margin-left: .6rem; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .3rem .6rem .3rem 0; vertical-align: top; }
"""


_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
SCHEMA_HEADERS = {
    CONTENT_SECURITY_POLICY: f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
"""Headers that allow only the page's own style."""


class SchemaPage(OpenAPIRenderPlugin):
    """A page of all operations with parameters, bodies and `curl` commands, and a link to the JSON."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: JSON) -> bytes:
        """Return the page as HTML."""
        groups: dict[str, list[str]] = {}
        base = base_url(request)
        for path, operations in openapi_schema["paths"].items():
            for method, operation in operations.items():
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(base, path, method, operation))
        schemas = openapi_schema.get("components", {}).get("schemas", {})
        body = [f"<h2>{escape(tag)}</h2>{''.join(group)}" for tag, group in groups.items()]
        body.append("<h2>shapes</h2>")
        body += [_shape(name, schema) for name, schema in sorted(schemas.items())]
        title = escape(openapi_schema["info"]["title"])
        # The link is relative because a proxy may serve this page under an unknown path.
        is_folder = request.scope["raw_path"].endswith(b"/")
        json_url = "openapi.json" if is_folder else "schema/openapi.json"
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{title} API</title><style>{_STYLE}</style>"
            f"<h1>{title} API</h1><p>{escape(openapi_schema['info'].get('description', ''))} "
            f'The same as <a href="{json_url}">OpenAPI JSON</a>.</p>{"".join(body)}</html>'
        ).encode()


def _operation(base: str, path: str, method: str, operation: JSON) -> str:
    rows = [
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}"
        f"<td>{escape(_type(p.get('schema', {})))}<td>{'required' if p.get('required') else ''}"
        for p in operation.get("parameters", [])
    ]
    table = f"<table>{''.join(rows)}</table>" if rows else ""
    answers = "".join(
        f"<tr><td><code>{status}</code><td>{_links(_content(answer))}"
        f"<td>{escape(answer.get('description', ''))}"
        for status, answer in operation.get("responses", {}).items()
    )
    return (
        f'<details><summary><span class="method">{method.upper()}</span><code>{escape(path)}</code>'
        f'<span class="what">{escape(operation.get("summary", ""))}</span></summary>'
        f"<p>{escape(operation.get('description', ''))}</p>{table}"
        f"<pre>{escape(_curl(base, path, method, operation))}</pre>"
        f"<table>{answers}</table></details>"
    )


def _shape(name: str, schema: JSON) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code><td>{_links(_type(kind))}"
        f"<td>{'required' if field in required else ''}<td>{escape(kind.get('description', ''))}"
        for field, kind in schema.get("properties", {}).items()
    )
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code>'
        f'<span class="what">{escape(schema.get("description", ""))}</span></summary>'
        f"<table>{rows}</table></details>"
    )


def _curl(base: str, path: str, method: str, operation: JSON) -> str:
    query = "&".join(
        f"{p['name']}=…"
        for p in operation.get("parameters", [])
        if p["in"] == "query" and p.get("required")
    )
    line = f"curl -X {method.upper()} '{base}{path}{'?' + query if query else ''}'"
    request: JSON = operation.get("requestBody") or {}
    body = _content(request)
    if "multipart/form-data" in request.get("content", {}):
        return f"{line} -F files=@…  # {body}"
    return f"{line} --json '{{…}}'  # {body}" if body else line


def _content(message: JSON) -> str:
    kinds = (_type(media.get("schema", {})) for media in message.get("content", {}).values())
    return " or ".join(dict.fromkeys(kinds))


def _type(schema: JSON) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    kind: str | list[str] = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _links(types: str) -> str:
    """Escape the types, and link the names of schemas."""
    return " ".join(
        f'<a href="#{escape(word)}">{escape(word)}</a>' if word[:1].isupper() else escape(word)
        for word in types.split()
    )
