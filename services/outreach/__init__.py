"""Outreach: the definition of an agency's first message to a company. It is no participant."""
