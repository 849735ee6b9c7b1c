"""Money is an integer number of nano-dollars; this module is the only place where it is rounded, and always upwards."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NewType

Nanos = NewType("Nanos", int)
"""Nano-dollars: 1 USD = 1,000,000,000. Fits in 64 bits up to nine billion dollars."""

ZERO = Nanos(0)
NANOS_PER_DOLLAR = 1_000_000_000
NANOS_MAX = 2**63 - 1
MILLION = 1_000_000
_EXPONENT_MIN = -100
"""A number of a few characters may stand for one of a billion digits, which no memory holds."""
_SHOWN_CHARACTERS_MAX = 40


def nanos_from_dollars(dollars: str | Decimal | int, *, times: int = 1) -> Nanos:
    """Read an amount in US dollars and give so many times of it, exactly.

    Raises `ValueError` for what is not a finite number, is negative, has more than nine decimals, or does not fit.
    """
    try:
        amount = Decimal(dollars)
    except InvalidOperation as error:
        message = f"`{as_written(dollars)}` is not an amount in US dollars"
        raise ValueError(message) from error
    most = Decimal(NANOS_MAX // times).scaleb(-9)
    if not amount.is_finite() or not 0 <= amount <= most:
        message = f"`{as_written(dollars)}` is not an amount in US dollars between 0 and {most:,}"
        raise ValueError(message)
    too_fine = int(amount.as_tuple().exponent) < _EXPONENT_MIN
    nanos = Fraction(0 if too_fine else amount) * NANOS_PER_DOLLAR * times
    if too_fine or nanos.denominator != 1:
        message = f"`{as_written(dollars)}` has more than nine decimals; the smallest amount is one nano-dollar"
        raise ValueError(message)
    return Nanos(nanos.numerator)


def as_written(amount: str | Decimal | int) -> str:
    """Give an amount as a message may show it: a long one is cut."""
    text = str(amount)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"


def dollars(amount: int) -> str:
    """Spell an amount in US dollars, exactly and without trailing zeros: `0.04`, `1000`, `-0.000000001`."""
    if amount < 0:
        return f"-{dollars(-amount)}"
    digits = f"{amount:010d}"
    return f"{digits[:-9]}.{digits[-9:]}".rstrip("0").rstrip(".")


def charge(quantity: int, nanos_per_million: int) -> Nanos:
    """Price a quantity in base units of its meter, rounded up to the next nano-dollar."""
    assert quantity >= 0
    assert nanos_per_million >= 0
    return Nanos(-(-quantity * nanos_per_million // MILLION))


def total(quantities: Mapping[str, int], prices: Mapping[str, int]) -> Nanos:
    """Price what the meters counted: `quantities` in base units, `prices` in nano-dollars per million base units.

    A meter without a price costs nothing; a priced meter that nothing was counted on costs nothing.
    """
    return total_of(quantities, [(meter, prices[meter]) for meter in quantities if meter in prices])


def total_of(quantities: Mapping[str, int], priced: Iterable[tuple[str, int]]) -> Nanos:
    """Price the same where it is known which of the meters have a price, and what."""
    amount = 0
    for meter, price in priced:
        # As `charge` has it; every call comes past here several times.
        amount -= -quantities[meter] * price // MILLION
    assert amount >= 0
    return amount  # pyright: ignore[reportReturnType] - `Nanos(amount)` is a call, at run time too
