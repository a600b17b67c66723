"""Metrics: the catalogue as data, tallies, and the fold that counts committed events."""
