"""Queries, a class for each noun; repositories never commit, services do."""
