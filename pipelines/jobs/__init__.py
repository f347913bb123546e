"""Background jobs: queued, shared by workers, and taken over by another worker if one dies."""
