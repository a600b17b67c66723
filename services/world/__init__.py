"""The outside world of the reference services, as separate processes: a carrier and a mail server.

They are no participants: they know nothing of sagas, and they misbehave when told to.
"""
