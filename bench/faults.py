"""What can go wrong: a system that cannot be had here, and a measurement that failed."""


class BenchError(Exception):
    """Anything that the bench tells its reader in words."""


class Unavailable(BenchError):
    """A system that cannot be installed or started here; the reason goes into the table."""


class Failed(BenchError):
    """A measurement, or a process in it, that broke."""
