"""What theory predicts of a network at initialization."""
