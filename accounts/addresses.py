"""Which addresses of the internet a request of ours may go to, when people say where it goes."""

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20", "5f00::/16")
)
"""IANA's special-purpose registries of 2025; what Python's `is_global` knows depends on its age."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_allowed(address: Address, networks: Sequence[Network] = ()) -> bool:
    """Whether a request may go to `address`: public, or in one of `networks`."""
    if is_in(address, networks):
        return True
    if is_in(address, _NOT_PUBLIC):
        return False
    inside = inner(address)
    return inside.is_global and not inside.is_multicast and not inside.is_reserved


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether `address`, or the one that it wraps, is in one of `networks`."""
    inside = inner(address)
    return any(inside.version == net.version and inside in net for net in networks)


def inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one wraps (mapped, 6to4, Teredo, NAT64), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
    )
