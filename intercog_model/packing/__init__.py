"""From plans of text and images to one packed sequence with its masks and positions."""
