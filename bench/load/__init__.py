"""Generators of load, each in a process of its own on the load's core."""
