"""The GroundEdit pipeline as a plain library: no Prefect, no Ray, importable in milliseconds."""
