"""Work that outlives a request: queued, shared by workers, finished by another when one dies."""
