"""The predictor: KServe's model server over the champion of the registry, or over the one model of a folder."""
