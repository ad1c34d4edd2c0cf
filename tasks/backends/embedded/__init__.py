"""Small published networks and classical algorithms that run on a laptop."""
