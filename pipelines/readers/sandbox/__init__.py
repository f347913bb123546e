"""Processes that read untrusted files within limits of time and memory."""
