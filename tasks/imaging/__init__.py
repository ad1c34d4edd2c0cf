"""Arrays: decoding and encoding, geometry, colors, patches."""
