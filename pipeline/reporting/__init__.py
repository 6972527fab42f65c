"""Reports in Markdown, computed from tables."""
