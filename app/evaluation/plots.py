"""Plots as inline SVG on a self-contained HTML page."""

from collections.abc import Callable, Sequence
from html import escape

Row = tuple[str, float, float | None]
"""A name, a value, and optionally a value to compare it with."""

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}svg{display:block;margin:1rem 0}td,th{text-align:left;"
    "padding:.25rem .75rem .25rem 0;vertical-align:top}text{font:13px system-ui,sans-serif;"
    "fill:currentColor}rect{fill:#2563eb}rect.other{fill:#94a3b8}"
    "@media(prefers-color-scheme:dark){body{color:#e5e5e5;background:#171717}}"
)
_NAME, _BAR, _VALUE = 200, 400, 80
"""The widths of the columns, in units of the SVG."""


def document(title: str, body: str) -> str:
    """Build a whole HTML page that loads nothing."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def bars(label: str, rows: Sequence[Row], most: float, shown: Callable[[float], str]) -> str:
    """Draw horizontal bars of values from 0 to `most`, each with the compared value below it in grey."""
    parts: list[str] = []
    y = 0
    for name, value, other in rows:
        width = _BAR * value / most
        parts.append(f'<text x="0" y="{y + 15}">{escape(name)}</text>')
        parts.append(f'<rect x="{_NAME}" y="{y + 3}" width="{width:.1f}" height="16"/>')
        parts.append(
            f'<text x="{_NAME + width + 8:.1f}" y="{y + 15}">{escape(shown(value))}</text>'
        )
        y += 24
        if other is not None:
            width = _BAR * other / most
            parts.append(
                f'<rect class="other" x="{_NAME}" y="{y - 4}" width="{width:.1f}" height="6"/>'
            )
            y += 8
    box = f"0 0 {_NAME + _BAR + _VALUE} {y}"
    return f'<svg role="img" aria-label="{escape(label)}" viewBox="{box}">{"".join(parts)}</svg>'
