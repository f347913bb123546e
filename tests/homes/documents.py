"""The documents that the frozen homes hold: the manual of a small bakery, written for the tests."""

PAGES = {
    "ovens.md": """# Ovens

The bakery has two deck ovens. Both are fired with beech wood.

## Temperature

Rye bread is baked at 230 degrees. The oven door stays shut for the first twenty minutes.

## Repairs

Broken fire bricks are replaced by the mason in Mill Lane.
""",
    "flour.html": """<!doctype html><html lang="en"><head><title>Flour</title></head><body><main>
<h1>Flour</h1><p>Rye flour comes from the mill on Tuesdays. A sack weighs 25 kilograms.</p>
<h2 id="storage">Storage</h2><p>Flour is stored at least ten centimetres above the floor.</p>
</main></body></html>
""",
    "cleaning.txt": """Cleaning

The kneading trough is scraped every evening and washed with hot water on Saturdays.
""",
}

EDITED = PAGES["ovens.md"].replace("230 degrees", "240 degrees")
"""The page on ovens as it was ingested the second time."""

UPLOAD = "hours.md"
HOURS = (
    "# Opening hours\n\nThe shop opens at six in the morning and closes when the bread is sold.\n"
)

HEAT = "At what temperature is rye bread baked?"
DELIVERY = "When does the rye flour come from the mill?"
OPENING = "When does the shop open?"
