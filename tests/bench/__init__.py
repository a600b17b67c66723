"""Measurements by hand: `make bench`. Nothing here asserts a time.

    python -m tests.bench           the engine beside DBOS Transact and beside the bare transport, in turns
    python -m tests.bench.orders    the reference order saga with its four services
    python -m tests.bench.waiting   a million sagas that wait, ten thousand timers of one second

Each side writes the same four rows for an order into a table of its own, and they are counted after each round.
"""
