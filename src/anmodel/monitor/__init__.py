"""monitor: drift of features and forecasts, and forecasts against what happened."""
