"""Files that tasks made and that callers uploaded: rows in the database, bytes in the object store."""

from halley.assets.model import Asset, File
from halley.assets.objects import (
    Found,
    ObjectMissing,
    ObjectStore,
    ObjectsUnavailable,
    ObjectTooLarge,
    Stored,
    open_objects,
)

__all__ = [
    "Asset",
    "File",
    "Found",
    "ObjectMissing",
    "ObjectStore",
    "ObjectTooLarge",
    "ObjectsUnavailable",
    "Stored",
    "open_objects",
]
