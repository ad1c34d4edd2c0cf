"""Workers on Ray: cluster, pool, actors, metrics."""
