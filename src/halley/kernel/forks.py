"""What a forked child must not share with its parent."""

import os
import weakref
from collections.abc import Callable


def after_fork(method: Callable[[], None]) -> None:
    """Call a bound method in each forked child, as long as its object lives."""
    known = weakref.WeakMethod(method)

    def call() -> None:
        found = known()
        if found is not None:
            found()

    os.register_at_fork(after_in_child=call)
