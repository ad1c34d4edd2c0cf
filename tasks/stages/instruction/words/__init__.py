"""Gates on free English text: pure functions over a scene's boxes and masks, without models."""
