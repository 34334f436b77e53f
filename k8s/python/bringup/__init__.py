"""Brings up the platform that k8s/platform.toml describes. Standard library only."""
