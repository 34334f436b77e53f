"""AnModel forecasts consumer interest for a shop: who will buy next, when, for how much and why."""

__version__ = "0.1.0"
