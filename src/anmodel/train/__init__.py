"""train: fit the model on a training snapshot, measure it, and register it as a version."""
