"""Reference participants, the reference definitions, and a small outside world for them to act on."""
