"""Editor, inpainters and edit judge of the embedded profile."""
