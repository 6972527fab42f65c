"""How does the way a network's weights are born decide how it learns? A reproducible laboratory."""
