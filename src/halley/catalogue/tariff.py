"""A set of prices as calls are charged by it: what can be known of it beforehand is worked out once. Pure."""

from collections.abc import Iterable, Mapping

from halley.catalogue.conditions import ASKED_FACTS, at_size, dearest, input_tokens, parse_key
from halley.catalogue.units import charged_as
from halley.kernel.money import Nanos, total_of

CASES_REMEMBERED_MAX = 256
"""Facts may come from a vendor's reply, and so be anything."""
METERS_REMEMBERED_MAX = 256

_NOTHING_ASKED: Mapping[str, str] = {}
_Priced = tuple[tuple[str, int], ...]
"""Those of some meters that have a price, and what it is."""
_Case = tuple[int, tuple[str | None, ...]]
"""How many of the sizes are exceeded, and the facts that conditions name: requests that agree in these pay alike."""


class _Rates:
    """Prices without conditions, and what a meter without one is charged as."""

    def __init__(self, prices: Mapping[str, int]) -> None:
        self._prices = prices
        self._charged_as: dict[str, str] = {}
        self._apart: dict[tuple[str, ...], _Priced] = {}
        """Of meters that were counted together, each charged as itself or not at all."""

    def total(self, quantities: Mapping[str, int]) -> Nanos:
        """Price what was counted. What is charged as the same meter is added up before it is rounded."""
        meters = tuple(quantities)
        priced = self._apart.get(meters)
        if priced is None:
            priced = self._learn_apart(meters)
        if priced is not None:
            return total_of(quantities, priced)
        counted: dict[str, int] = {}
        for meter, count in quantities.items():
            charged = self._charged_as.get(meter) or self._learn(meter)
            counted[charged] = counted.get(charged, 0) + count
        return total_of(counted, self._priced(counted))

    def counts_any_of(self, quantities: Mapping[str, int]) -> bool:
        """Whether there is a price for any of it."""
        return any((self._charged_as.get(each) or self._learn(each)) in self._prices for each in quantities)

    def _learn_apart(self, meters: tuple[str, ...]) -> "_Priced | None":
        if any((self._charged_as.get(each) or self._learn(each)) != each for each in meters):
            return None
        priced = self._priced(meters)
        if len(self._apart) < METERS_REMEMBERED_MAX:
            self._apart[meters] = priced
        return priced

    def _priced(self, meters: Iterable[str]) -> "_Priced":
        return tuple((meter, self._prices[meter]) for meter in meters if meter in self._prices)

    def _learn(self, meter: str) -> str:
        charged = charged_as(meter, self._prices) or meter
        if len(self._charged_as) < METERS_REMEMBERED_MAX:
            self._charged_as[meter] = charged
        return charged


class Tariff:
    """Prices by price key (`meter` or `meter@condition`), in nano-dollars per million base units. Never changed."""

    def __init__(self, meters: Mapping[str, int]) -> None:
        self._meters = meters
        self._dearest = _Rates(dearest(meters))
        conditional = [parse_key(key) for key in meters if "@" in key]
        self._values = frozenset(value for key in conditional for _, value in key.facts)
        self._sizes = sorted({key.above for key in conditional if key.above is not None})
        self.facts = tuple(sorted({name for key in conditional for name, _ in key.facts}))
        """What the price may depend on beside quantities."""
        self.asked = tuple(name for name in self.facts if name in ASKED_FACTS)
        """Of these, what an order must have asked for."""
        self._dearest_asked: dict[tuple[str | None, ...], _Rates] = {}
        self._counting: set[tuple[str, ...]] = set()
        """Meters some of which have a price."""
        self._holding: dict[_Case, _Rates] = {}
        self._plain = None if conditional else _Rates(meters)

    def price(self, quantities: Mapping[str, int], facts: Mapping[str, str]) -> Nanos:
        """Price what was counted: a meter without a price of its own counts with its parent's."""
        rates = self._plain or self._at(quantities, facts)
        return rates.total(quantities)

    def most(self, quantities: Mapping[str, int], asked: Mapping[str, str] = _NOTHING_ASKED) -> Nanos:
        """Price what may be counted, under the dearest conditions that can hold for what was asked."""
        rates = self._most(asked) if self.asked else self._dearest
        return rates.total(quantities)

    def counts_nothing_of(self, quantities: Mapping[str, int]) -> bool:
        """Whether there are prices, and none of them is for what is counted here."""
        meters = tuple(quantities)
        if meters in self._counting:
            return False
        if not self._meters or self._dearest.counts_any_of(quantities):
            if len(self._counting) < METERS_REMEMBERED_MAX:
                self._counting.add(meters)
            return False
        return True

    def _most(self, asked: Mapping[str, str]) -> _Rates:
        known = tuple([value if (value := asked.get(name)) in self._values else None for name in self.asked])
        rates = self._dearest_asked.get(known)
        if rates is None:
            if len(self._dearest_asked) >= CASES_REMEMBERED_MAX:
                self._dearest_asked.clear()
            possible = {key: price for key, price in self._meters.items() if _may_hold(key, asked)}
            rates = self._dearest_asked[known] = _Rates(dearest(possible))
        return rates

    def _at(self, quantities: Mapping[str, int], facts: Mapping[str, str]) -> _Rates:
        size, exceeded = 0, 0
        if self._sizes:
            size = input_tokens(quantities)
            exceeded = sum([size > each for each in self._sizes])
        # A fact that no condition names is as good as none, and may be of any size.
        known = [value if (value := facts.get(name)) in self._values else None for name in self.facts]
        case = (exceeded, tuple(known))
        rates = self._holding.get(case)
        if rates is None:
            if len(self._holding) >= CASES_REMEMBERED_MAX:
                self._holding.clear()
            rates = self._holding[case] = _Rates(at_size(self._meters, size, facts))
        return rates


def _may_hold(key: str, asked: Mapping[str, str]) -> bool:
    return all(asked.get(name) == value for name, value in parse_key(key).facts if name in ASKED_FACTS)
