"""Files that are parts of other files."""
