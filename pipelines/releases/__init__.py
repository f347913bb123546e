"""Releases: build one while another one serves, check it, switch to it, and go back to it."""
