"""Two quick methods in a package of their own."""
