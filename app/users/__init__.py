"""Users and their rights: tokens of an issuer, API keys, and roles."""
