"""How often and by which chance a run kills; read when the tests are imported, before settings are taken away."""

import os
from random import SystemRandom

ROUNDS = int(os.environ.get("HALLEY_CRASH_ROUNDS") or 6)
SEED = int(os.environ.get("HALLEY_CRASH_SEED") or SystemRandom().randrange(1_000_000))
