"""What kind of data an image or a file holds, where its caller left that to be seen. Pure."""

import mimetypes
from urllib.parse import urlsplit

from halley.kernel.chat import Blob


def media_type_of(blob: Blob) -> str | None:
    """The type that was told, else what the name or the address ends on; None if nothing tells."""
    if blob.media_type is not None:
        return blob.media_type
    path = blob.name or (urlsplit(blob.url).path if blob.url else "")
    return mimetypes.guess_type(path)[0]
