"""Management: the commands of an operator, the local socket they travel over, and the data folder's lock."""

from halley.console.lock import DataFolderInUse, DataLock, Holder, current_holder

__all__ = ["DataFolderInUse", "DataLock", "Holder", "current_holder"]
