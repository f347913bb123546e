"""Small files of every format, and the digests of what the readers make of them, to notice changes."""
