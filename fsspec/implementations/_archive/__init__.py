"""Files inside archives."""
