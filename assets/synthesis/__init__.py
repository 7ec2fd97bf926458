"""How rows for learning are made from sources and profiles."""
