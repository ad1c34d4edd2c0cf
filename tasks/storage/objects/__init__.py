"""Object stores and what is read from them."""
