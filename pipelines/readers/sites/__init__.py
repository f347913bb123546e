"""Where generators of documentation sites publish a file: routes and anchors."""
