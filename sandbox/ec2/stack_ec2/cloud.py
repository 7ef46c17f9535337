"""What the parts of the endpoint share: one lock, the machines, and the way from instances to machines."""

import base64
import threading

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from . import firewall, network
from .machines import Launch


def refuse(code, message):
    """An EC2 error response."""
    return EC2ClientError(code, message)


class Cloud:
    """The state beside moto's."""

    def __init__(self, machines):
        #: Held by every EC2 call and every event of a machine: moto's records know no threads.
        self.lock = threading.RLock()
        self.machines = machines
        self.addresses = network.PublicAddresses()
        #: Client token to (fingerprint of the parameters, reservation).
        self.tokens = {}

    def backends(self):
        """The EC2 records of all accounts in the region."""
        return [regions[network.REGION] for regions in list(ec2_backends.values()) if network.REGION in regions]

    def instances(self):
        for backend in self.backends():
            for reservation in list(backend.reservations.values()):
                yield from reservation.instances

    def instance(self, instance_id):
        return next((instance for instance in self.instances() if instance.id == instance_id), None)

    def has_machine(self, instance):
        """Machines stand behind the instances of one region."""
        return instance.region_name == network.REGION

    def launch(self, instance):
        """Boots the machine of a new instance."""
        if self.has_machine(instance):
            self.machines.launch(self._launch_of(instance))

    def start(self, instance):
        """Boots the machine of a stopped instance."""
        if self.has_machine(instance):
            self.machines.start(self._launch_of(instance))

    def stop(self, instance):
        if self.has_machine(instance):
            self.machines.stop(instance.id)

    def reboot(self, instance):
        if self.has_machine(instance):
            self.machines.reboot(instance.id)

    def destroy(self, instance):
        if self.has_machine(instance):
            self.machines.destroy(instance.id)

    def _launch_of(self, instance):
        """What the machine of an instance must know."""
        keys = []
        if instance.key_name:
            pair = instance.ec2_backend.key_pairs.get(instance.key_name)
            if pair is not None:
                keys.append(pair.material_public.decode("utf-8").strip())
        return _launch(instance, keys, self.firewall_of(instance))

    def firewall_of(self, instance):
        """The packet filter rules of an instance by its groups."""
        ingress, egress = [], []
        for group in instance.security_groups:
            ingress.extend(self._rules(instance.ec2_backend, group.ingress_rules))
            egress.extend(self._rules(instance.ec2_backend, group.egress_rules))
        return firewall.render(ingress, egress)

    def _rules(self, backend, rules):
        for rule in rules:
            if rule.cidr_ipv4:
                peers = [rule.cidr_ipv4]
            elif rule.source_group:
                peers = members(backend, rule.source_group.get("GroupId"))
            else:
                peers = []
            for peer in peers:
                yield firewall.Rule(rule.ip_protocol, _port(rule.from_port), _port(rule.to_port), peer)

    def refresh_firewalls(self):
        """Puts the rules as they stand now in force on all machines."""
        with self.lock:
            wanted = [
                (instance.id, self.firewall_of(instance))
                for instance in self.instances()
                if self.has_machine(instance) and instance.state in ("pending", "running", "stopping")
            ]
        for instance_id, rules in wanted:
            self.machines.set_firewall(instance_id, rules)


def _launch(instance, keys, rules):
    return Launch(
        instance_id=instance.id,
        private_address=instance.nics[0].private_ip_address,
        public_address=instance.nics[0].public_ip,
        user_data=base64.b64decode(str(instance.user_data)) if instance.user_data else b"",
        public_keys=tuple(keys),
        firewall=rules,
    )


def members(backend, group_id):
    """Private addresses of all interfaces in a group."""
    return [
        f"{interface.private_ip_address}/32"
        for interface in backend.enis.values()
        if any(group.id == group_id for group in interface._group_set)
    ]


def _port(port):
    return None if port is None else int(port)
