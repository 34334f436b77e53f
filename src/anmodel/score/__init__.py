"""score: a forecast for every user of the daily snapshot."""
