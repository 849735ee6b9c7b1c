"""Every fault has what an error body needs."""

import inspect
import re

import pytest

from halley.kernel import faults
from halley.kernel.faults import CallerFault, Fault, NotAllowed, Refused, TooManyRequests, VendorFault

ALL = [each for _, each in inspect.getmembers(faults, inspect.isclass) if issubclass(each, Fault)]
CALLERS = [each for each in ALL if issubclass(each, CallerFault)]


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.__name__)
def test_every_fault_has_a_status_a_code_and_a_place_in_the_tree(fault: type[Fault]):
    assert 400 <= fault.status < 600
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", fault.code)
    assert faults.__doc__ is not None
    assert fault.__name__ in faults.__doc__


@pytest.mark.parametrize("fault", CALLERS, ids=lambda fault: fault.__name__)
def test_what_the_caller_can_mend_is_a_4xx(fault: type[Fault]):
    assert fault.status < 500


def test_codes_are_told_apart():
    codes = [vars(each)["code"] for each in ALL if "code" in vars(each)]
    assert sorted(set(codes)) == sorted(codes)


def test_the_tree_in_the_docs_tells_the_statuses():
    told = re.findall(r"(\w+) +(\d{3})\b", faults.__doc__ or "")
    assert len(told) > 10
    assert {name: int(status) for name, status in told} == {name: getattr(faults, name).status for name, _ in told}


def test_fault_carries_message_field_and_when_to_come_again():
    fault = TooManyRequests("Slow down", param="model", retry_after_s=3)
    assert (str(fault), fault.message, fault.param, fault.retry_after_s) == ("Slow down", "Slow down", "model", 3)


def test_refusal_carries_the_vendors_own_words_and_method_what_is_allowed():
    assert Refused("No", detail=[{"loc": ["prompt"]}]).detail == [{"loc": ["prompt"]}]
    assert NotAllowed("No", allow=("GET", "HEAD")).allow == ("GET", "HEAD")


def test_only_faults_that_pass_by_themselves_may_be_retried():
    may = {each.__name__ for each in ALL if each.may_retry}
    vendors = {"VendorUnreachable", "VendorBusy", "VendorBroken"}
    assert may == {"StillRunning", "NotCancelled", "TooManyRequests", "Draining", *vendors}
    assert issubclass(faults.OutcomeUnknown, VendorFault)
