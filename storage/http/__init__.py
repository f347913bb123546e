"""HTTP clients: pools, retries, rate limits, and a guarded client for untrusted addresses."""
