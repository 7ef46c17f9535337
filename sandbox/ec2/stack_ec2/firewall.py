"""Security group rules as packet filter rules of a host, in the language of iptables-restore(8)."""

import dataclasses

_NUMBERS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}


@dataclasses.dataclass(frozen=True, order=True)
class Rule:
    """One permission with one IPv4 peer, given as a network."""

    protocol: str
    from_port: int | None
    to_port: int | None
    peer: str

    def matches(self, direction):
        """The match arguments, or None where the rule has no meaning for IPv4."""
        protocol = _NUMBERS.get(str(self.protocol).lower(), str(self.protocol).lower())
        peer = f"{direction} {self.peer}"
        if protocol == "-1":
            return peer
        if protocol in ("tcp", "udp"):
            low, high = self.from_port, self.to_port
            ports = "" if low is None or low < 0 else f" --dport {low}:{high}"
            return f"{peer} -p {protocol}{ports}"
        if protocol == "icmp":
            # For ICMP the "from port" is the type and the "to port" the code; -1 stands for all.
            kind, code = self.from_port, self.to_port
            if kind is None or kind < 0:
                return f"{peer} -p icmp"
            return f"{peer} -p icmp --icmp-type {kind}" + ("" if code is None or code < 0 else f"/{code}")
        if protocol.isdigit():
            return f"{peer} -p {protocol}"
        return None


def render(ingress, egress):
    """The whole filter table of a host. What no rule allows is dropped without an answer, as EC2 does it; answers
    to what was allowed pass."""
    lines = ["*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT DROP [0:0]"]
    for chain, link, direction, rules in (("INPUT", "-i", "-s", ingress), ("OUTPUT", "-o", "-d", egress)):
        lines.append(f"-A {chain} {link} lo -j ACCEPT")
        lines.append(f"-A {chain} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
        matches = {rule.matches(direction) for rule in rules} - {None}
        lines.extend(f"-A {chain} {match} -j ACCEPT" for match in sorted(matches))
    return "\n".join(lines) + "\nCOMMIT\n"
