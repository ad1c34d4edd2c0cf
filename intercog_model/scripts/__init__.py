"""Commands: each module is one, `python -m intercog_model.scripts.NAME`."""
