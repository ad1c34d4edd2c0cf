"""Gates on free English from any writer: pure functions over a scene's boxes and masks, without models."""
