"""The predictor: KServe's model server over the champion of the registry."""
