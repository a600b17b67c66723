"""Traces on their way out: our own spans as bytes, and the live spans of participants through OpenTelemetry."""
