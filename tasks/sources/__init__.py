"""Where photographs come from: listing places, reading bytes, making the working source."""
