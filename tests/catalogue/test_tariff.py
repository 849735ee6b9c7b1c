"""What is worked out beforehand of a price gives what working it out each time gives."""

from hypothesis import given
from hypothesis import strategies as st

from halley.catalogue.conditions import at_size, dearest, input_tokens
from halley.catalogue.meters import folded
from halley.catalogue.tariff import Tariff
from halley.catalogue.units import METERS
from halley.kernel.money import total

CONDITIONS = ("", "@100+", "@200+", "@quality=hd", "@service_tier=priority", "@100+,service_tier=priority")
KEYS = st.builds(str.__add__, st.sampled_from(sorted(METERS)), st.sampled_from(CONDITIONS))
PRICES = st.dictionaries(KEYS, st.integers(0, 10**9), max_size=12)
QUANTITIES = st.dictionaries(st.sampled_from(sorted(METERS)), st.integers(0, 300), max_size=6)
FACTS = st.fixed_dictionaries(
    {}, optional={"quality": st.sampled_from(["hd", "low"]), "service_tier": st.sampled_from(["priority", "flex"])}
)


@given(PRICES, st.lists(st.tuples(QUANTITIES, FACTS), min_size=1, max_size=6))
def test_a_tariff_charges_what_its_prices_say(
    prices: dict[str, int], calls: list[tuple[dict[str, int], dict[str, str]]]
):
    tariff, most = Tariff(prices), dearest(prices)
    for quantities, facts in calls:
        holding = at_size(prices, input_tokens(quantities), facts)
        assert tariff.price(quantities, facts) == total(folded(quantities, holding), holding)
        assert tariff.most(quantities) == total(folded(quantities, most), most)
        assert tariff.counts_nothing_of(quantities) == (
            bool(most) and not most.keys() & folded(quantities, most).keys()
        )


@given(PRICES, QUANTITIES, FACTS)
def test_what_some_case_has_a_price_for_is_free_in_no_case(
    prices: dict[str, int], quantities: dict[str, int], facts: dict[str, str]
):
    tariff = Tariff({key: price + 1 for key, price in prices.items()})
    counted = {meter: count + 1 for meter, count in quantities.items()}
    assert bool(tariff.price(counted, facts)) == bool(tariff.most(counted))


def test_what_a_vendor_says_of_a_fact_is_not_kept():
    tariff = Tariff({"call": 1_000_000, "call@service_tier=priority": 2_000_000})
    for number in range(300):
        assert tariff.price({"call": 1}, {"service_tier": f"{number}" * 1_000}) == 1
    assert tariff.price({"call": 1}, {"service_tier": "priority"}) == 2
