"""Counts what a call costs, in function calls and statements instead of time, and holds it to budgets that only fall.

Run it as `python -m scripts.budgets`; docs/dev/budgets.md has the rest.
"""
