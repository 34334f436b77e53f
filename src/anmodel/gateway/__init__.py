"""The gateway: the API of users, services and forecasts that the console and a shop's own programs call."""
