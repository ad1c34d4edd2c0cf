"""The worker's engine: runs units, isolates failures, finds the sample that kills a worker, commits."""
