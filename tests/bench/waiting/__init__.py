"""What waiting costs: `make bench-waiting`, or `python -m tests.bench.waiting`. Nothing here asserts a time."""
