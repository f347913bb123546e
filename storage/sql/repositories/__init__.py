"""Queries, with one class for each entity. Repositories never commit; services do."""
