"""The floor: the messages and rows of four-step orders with no engine at all, over our own adapter for RabbitMQ.

No decision, no history to read, no inbox to look at, nothing that survives a fault: what the transport and the tables
alone cost.
"""
