"""The console's static server."""
