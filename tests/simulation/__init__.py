"""Deterministic simulation: the real core and the real participant rules in a hostile world, one seed a run."""
