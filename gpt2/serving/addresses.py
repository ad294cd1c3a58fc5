"""Who is asking, as far as limits for each visitor can tell."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def believed(forwarded: str) -> str | None:
    """The visitor in an X-Forwarded-For, of whose proxies only the nearest is known.

    Every proxy adds who spoke to it at the end; what stands before may be invented. Addresses of
    private networks are the platform's own proxies.
    """
    found = [address for entry in forwarded.split(",") if (address := _parsed(entry))]
    public = [address for address in found if address.is_global]
    return str((public or found)[-1]) if found else None


def counted_as(host: str) -> str:
    """Under which name calls from `host` are counted: one IPv6 visitor has a whole /64."""
    address = _parsed(host)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ip_network((address.packed[:8] + bytes(8), 64)))
    return host[:64]


def _parsed(entry: str) -> IPv4Address | IPv6Address | None:
    """1.2.3.4, 1.2.3.4:80, ::1 or [::1]:80."""
    entry = entry.strip()
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return ip_address(entry)
    except ValueError:
        return None
