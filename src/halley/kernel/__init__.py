"""The words every other part speaks: money, faults, ids, time, orders and JSON. Imports nothing of ours."""
