"""Profiles and deployment files; a package so that profiles are read as resources."""
