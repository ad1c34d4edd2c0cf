"""A tiny model learns a few samples by heart in a real run, and is examined: what training is for, shown in minutes."""
