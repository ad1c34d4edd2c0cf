"""The five stages, one folder each with `stage.py` first; their settings and their registry."""
