"""What crosses the wire in the reference domain: one module a service, each importing `saga.contract` only."""
