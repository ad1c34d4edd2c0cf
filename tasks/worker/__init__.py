"""The unit engine: run a unit, isolate failures, find the sample that kills, commit."""
