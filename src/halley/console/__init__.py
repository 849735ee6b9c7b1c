"""Management: the commands of an operator, the local socket they travel over, and the lock on the data."""

from halley.console.lock import DatabaseInUse, DataFolderInUse, DataLock, Holder, InUse, current_holder

__all__ = ["DataFolderInUse", "DataLock", "DatabaseInUse", "Holder", "InUse", "current_holder"]
