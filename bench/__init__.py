"""Measurements: `make bench NAME=x` runs `bench.x`, which ends with one line of JSON (see `bench.result`)."""
