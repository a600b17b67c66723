"""Ordering: the reference saga definitions. It is no participant: it only says what is to be done."""
