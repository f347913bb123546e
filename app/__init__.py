"""The read side, and every door: command line, REST, notebook."""
