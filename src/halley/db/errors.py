"""What callers of the database may meet besides what their own units raise."""


class DatabaseUnavailable(Exception):
    """The database does not answer: it is down, restarting, or its disk is full. Nothing of this unit was kept."""


class WriterOverloaded(Exception):
    """More writes are queued than the disk can take."""


class WriterClosed(Exception):
    """The process is stopping; nothing more is written."""
