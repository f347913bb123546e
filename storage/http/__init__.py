"""HTTP clients: pools, retries, limits, and a guarded one for addresses of strangers."""
