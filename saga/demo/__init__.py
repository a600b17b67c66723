"""The demo and the reference domain it plays with; the domain's code is data here, never an import of the engine."""
