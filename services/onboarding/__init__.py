"""Onboarding: how somebody becomes a customer. It is no participant: it only says what is to be done."""
