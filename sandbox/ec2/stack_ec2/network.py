"""The addresses of the sandbox. All of them lie on one bridge; none is routed out of the machine."""

import ipaddress

REGION = "us-east-2"

#: The default VPC, and the network of the bridge.
VPC = ipaddress.ip_network("172.31.0.0/16")

#: Stands for the public range: addresses that an instance gets with AssociatePublicIpAddress. No default subnet
#: reaches this far, so private addresses never come from it. The other half of 172.31.240.0/20 is for what stands
#: in for hosts of the internet.
PUBLIC = ipaddress.ip_network("172.31.240.0/21")

#: Addresses at the start of the third default subnet that cluster nodes have; instances never get them.
NODES = ipaddress.ip_network("172.31.32.0/25")


def mac_of(address):
    """The hardware address that belongs to a private address: neighbours that remember it stay right."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed)


def host_name(address):
    """The short host name EC2 gives by address."""
    return "ip-" + str(address).replace(".", "-")


def private_dns_name(address):
    """The name of a private address outside us-east-1."""
    return f"{host_name(address)}.{REGION}.compute.internal"


def public_dns_name(address):
    """The name of a public address outside us-east-1."""
    return f"ec2-{str(address).replace('.', '-')}.{REGION}.compute.amazonaws.com"


class PublicAddresses:
    """Hands out addresses of the public range in turn, so that one that was given back rests for long: its old
    owner's hardware address would be remembered."""

    def __init__(self, network=PUBLIC):
        self._free = [str(address) for address in network.hosts()][9:]

    def take(self):
        return self._free.pop(0)

    def give_back(self, address):
        if ipaddress.ip_address(address) in PUBLIC and address not in self._free:
            self._free.append(address)
