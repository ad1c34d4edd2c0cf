"""Sources of photographs: list their entries, read bytes, make the working source."""
