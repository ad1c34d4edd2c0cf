"""BAGEL and the InterCoG additions: a stand-alone PyTorch model that trains on GroundEdit shards."""
