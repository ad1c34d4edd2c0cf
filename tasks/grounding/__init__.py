"""Stage two of five: the whole scene as objects, then one hard target (paper 3.1, step 1)."""
