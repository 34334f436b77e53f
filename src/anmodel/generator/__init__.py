"""generator: shoppers that browse and buy, seeded and reproducible."""
