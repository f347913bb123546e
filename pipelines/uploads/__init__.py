"""Uploads: files that clients send, instead of files that are read from folders."""
