"""Pages that people open in a browser: the partner's form."""
