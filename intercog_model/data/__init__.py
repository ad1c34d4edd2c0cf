"""From shards and their samples to plans: texts, images, draws and the mixture."""
