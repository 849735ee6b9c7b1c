"""Repeats of a POST with the same `Idempotency-Key` give the first answer; the row is written with the hold."""
