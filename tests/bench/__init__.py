"""Measurements by hand: `make bench`. Nothing here asserts a time."""
