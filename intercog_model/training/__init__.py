"""The objective, optimizer state, checkpoints and loop of training."""
