"""Sessions of the packaged model runtimes."""
