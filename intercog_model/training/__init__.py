"""The objective, optimiser state, checkpoints and loop of training."""
