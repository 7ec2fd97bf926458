"""Where rows and profiles come from, one module for each source."""
