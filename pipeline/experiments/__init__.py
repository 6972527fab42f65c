"""DVC experiments side by side."""
