"""What the processes of the DBOS side agree on."""

APP = "saga-bench"
QUEUE = "orders"
WORKFLOW = "place_order"
STEPS = ("reserve", "charge", "book", "confirm")
