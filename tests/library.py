"""A small documentation written for the tests: a lighthouse keeper's manual in four formats."""

from pathlib import Path

PAGES = {
    "index.md": """---
title: The Keeper's Manual
---

# The Keeper's Manual

This manual tells a keeper how to run the lighthouse at Skerry Point. It covers the lamp, the
foghorn and the logbook.
""",
    "lamp/lighting.md": """---
title: Lighting the lamp
peer_reviewed: true
---

# Lighting the lamp

The lamp is a first-order Fresnel lens turned by a clockwork motor. It is lit thirty minutes before
sunset and put out thirty minutes after sunrise.

## How to light it

Wind the clockwork before you light the burner, because the lens must already turn when the flame
appears. To light the burner, run:

```sh
lampctl ignite --pressure 3
```

## Why the lens turns

The lens turns so that ships see a flash every ten seconds. The period of the flash tells sailors
which lighthouse they are looking at.

## Fuel

The lamp burns 2.4 litres of paraffin an hour. Fill the tank every morning, and never while the
burner is hot.
""",
    "foghorn.mdx": """import Note from './note.js'

# The foghorn

<Note>

The foghorn sounds when visibility falls below two nautical miles.

</Note>

## Signal

One blast of four seconds is given every minute. The compressor needs five minutes to build up
pressure before the first blast.
""",
    "logbook.html": """<!doctype html><html lang="en"><head><title>The logbook</title></head><body>
<nav><a href="/">Home</a></nav>
<main><h1>The logbook</h1>
<p>Every watch ends with an entry in the logbook. An entry names the weather, the fuel used and any
ship that answered the signal.</p>
<h2 id="errors">Mending errors</h2>
<p>A wrong entry is struck through once and initialled; nothing is ever erased.</p></main>
<footer>Harbour Board</footer></body></html>
""",
    "tides.txt": """Tides at Skerry Point

High water comes about fifty minutes later each day. The landing is under water for two hours on
either side of a spring high tide.
""",
}


def write_docs(folder: Path) -> Path:
    """The folder, filled."""
    for name, text in PAGES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
