"""mDNS datagrams as anybody may send them: answers that say what a record says, and questions."""

from __future__ import annotations

from zeroconf import DNSOutgoing, DNSQuestion, ServiceInfo

from gossip.transport.hearing import SERVICE

_RESPONSE, _PTR, _IN = 0x8400, 12, 1


def answer(*infos: ServiceInfo) -> bytes:
    """One datagram that announces these."""
    out = DNSOutgoing(_RESPONSE)
    for info in infos:
        for record in (info.dns_pointer(), info.dns_service(), info.dns_text(), *info.dns_addresses()):
            out.add_answer_at_time(record, 0)
    return max(out.packets(), key=len)


def question(name: str) -> bytes:
    out = DNSOutgoing(0)
    out.add_question(DNSQuestion(name, _PTR, _IN))
    return out.packets()[0]


def announcement(number: int, *, tag: str, key: bytes, port: int) -> ServiceInfo:
    """A peer that does not exist, or not there."""
    name = f"{key.hex()[:32]}"
    return ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=port,
        properties={"tag": tag, "id": f"{number:064x}", "key": key.hex()},
        server=f"{name}.local.",
        addresses=[b"\x7f\0\0\x01"],
    )
