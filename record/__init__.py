"""Where readings and what was made of them are kept."""
