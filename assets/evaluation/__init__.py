"""What models are measured by, and how they answer."""
