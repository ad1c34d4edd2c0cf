"""What each command does; imported one by one, since most need neither Prefect nor Ray."""
