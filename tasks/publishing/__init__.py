"""From finished samples to a release: shard format, splits, writer, index, card."""
