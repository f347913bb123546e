"""The routes and anchors that documentation site generators give to files and headings."""
