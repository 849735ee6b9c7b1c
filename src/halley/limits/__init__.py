"""How much a key may ask per minute: requests and tokens, counted in this process, and told in headers."""

from halley.limits.headers import rate_headers, rate_lines
from halley.limits.limits import Limits
from halley.limits.model import Limiter, RateLimit, Standing, Verdict

__all__ = ["Limiter", "Limits", "RateLimit", "Standing", "Verdict", "rate_headers", "rate_lines"]
