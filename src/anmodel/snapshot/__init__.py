"""snapshot: features and targets from the lake, for training and for today."""
