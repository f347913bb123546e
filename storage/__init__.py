"""Ibid's data and where it is stored: domain values, SQL tables and vectors."""
