"""What InterCoG adds in training: mask reconstruction and reasoning alignment; dropped at inference."""
