from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.addresses import is_allowed


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_however_it_is_wrapped(address):
    number = int(address)
    wrapped = [
        ip_address(f"::ffff:{address}"),
        ip_address(int(ip_address("64:ff9b::")) + number),
        ip_address(int(ip_address("2002::")) + (number << 80)),
    ]
    assert {is_allowed(one, ()) for one in wrapped} == {is_allowed(address, ())}


@given(st.ip_addresses(v=4, network="10.0.0.0/8"))
def test_an_allowed_network_opens_itself_and_nothing_beside(address):
    opened = (ip_network("10.0.0.0/9"),)
    assert is_allowed(address, opened) == (address in opened[0])


@pytest.mark.parametrize(
    "text", ["fec0::1", "192.0.0.8", "192.88.99.1", "3fff::1", "5f00::1", "::ffff:192.0.0.8"]
)
def test_special_networks_are_refused_whatever_python_knows_of_them(text):
    assert not is_allowed(ip_address(text), ())
