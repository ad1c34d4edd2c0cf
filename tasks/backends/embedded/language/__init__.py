"""Instructor, rewriter and referrer from sentence patterns over measured scene facts."""
