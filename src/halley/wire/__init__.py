"""The wire formats of answers, as pure functions: what callers send and vendors reply, in front and behind."""
