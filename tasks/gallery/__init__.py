"""The static HTML gallery of a build."""
