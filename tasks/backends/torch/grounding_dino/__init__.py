"""GroundingDINO as detector: captions of a few names, scores by token span, its own suppression."""
