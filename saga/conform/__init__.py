"""Tries the rules of the wire contract on a live participant, in whatever language it is written.

It plays the orchestrator on a vhost of its own: it sends commands, good and bad, and judges what comes back. It knows
the participant by its answers only.
"""

from saga.conform.report import Finding, Verdict
from saga.conform.rules import RULES, Rule
from saga.conform.run import conform
from saga.conform.target import Target, TargetError, checked

__all__ = ["RULES", "Finding", "Rule", "Target", "TargetError", "Verdict", "checked", "conform"]
