"""Grounding: the whole scene, then a target that is hard to find (paper 3.1, step 1)."""
