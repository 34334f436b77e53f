"""register: decide which version of the model is in use."""
