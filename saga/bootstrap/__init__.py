"""Puts the parts together: the only package that sees adapters, engine and settings at once.

A module for each kind of process, so that none imports what only others run.
"""
