"""The laptop's platform: the real engines and every stage, started and watched by one command."""
