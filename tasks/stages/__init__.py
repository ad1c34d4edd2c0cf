"""The five stages, one folder each, starting at its `stage.py`; the configuration and the registry of stages."""
