"""A build: request, plans, session, stage runner, unit queue."""
