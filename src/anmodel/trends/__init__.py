"""trends: how much people search for what the shop sells, as Google Trends tells by SerpAPI."""
