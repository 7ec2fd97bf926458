"""Speed claims, each side by side with what a user would run instead."""
