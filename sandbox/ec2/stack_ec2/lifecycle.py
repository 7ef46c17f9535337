"""Instance states that take time, and calls that depend on them.

moto's instances are running at once and terminated at once. Here `pending`, `stopping` and `shutting-down` last
until the machine behind the instance has got there.
"""

import contextlib

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import InvalidParameterCombination, OperationDisableApiStopNotPermitted, OperationNotPermitted4
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse

from . import network
from .cloud import refuse

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

_STARTABLE = ("stopped", "running", "pending")
_STOPPABLE = ("running", "stopping", "stopped")
_REBOOTABLE = ("running",)

#: Attributes that may change only while the instance is stopped.
_ONLY_STOPPED = ("instance_type", "kernel", "ramdisk", "user_data", "ebs_optimized", "sriov_net_support")

_MOTO_TERMINATE = Instance.terminate


def set_state(instance, name):
    instance._state = InstanceState(name, CODES[name])


class Events:
    """What machines tell."""

    def __init__(self, cloud):
        self._cloud = cloud

    @contextlib.contextmanager
    def _instance(self, instance_id, *states):
        # An event that comes late, for an instance that has gone on since, changes nothing.
        with self._cloud.lock:
            instance = self._cloud.instance(instance_id)
            yield instance if instance is not None and instance.state in states else None

    def started(self, instance_id):
        with self._instance(instance_id, "pending") as instance:
            if instance is not None:
                set_state(instance, "running")

    def reachable(self, instance_id):
        with self._instance(instance_id, "pending", "running") as instance:
            if instance is not None:
                instance.reachable = True

    def stopped(self, instance_id):
        """Asked for, or the system in it has shut itself down."""
        with self._instance(instance_id, "running", "stopping", "pending") as instance:
            if instance is None:
                return
            if instance.state != "stopping":
                reason = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
                instance.state_reason = StateReason(reason, "Client.InstanceInitiatedShutdown")
                if instance.instance_initiated_shutdown_behavior == "terminate":
                    set_state(instance, "shutting-down")
                    self._cloud.machines.destroy(instance_id)
                    return
            _stop_interfaces(self._cloud, instance)
            set_state(instance, "stopped")

    def failed(self, instance_id):
        """The machine cannot be made: EC2 then terminates the instance, and says so in its state reason."""
        with self._instance(instance_id, "pending") as instance:
            if instance is not None:
                _finish_termination(self._cloud, instance)
                instance.state_reason = StateReason(
                    "Server.InternalError: Internal error on launch", "Server.InternalError"
                )

    def destroyed(self, instance_id):
        with self._instance(instance_id, "shutting-down") as instance:
            if instance is not None:
                _finish_termination(self._cloud, instance)
        self._cloud.refresh_firewalls()


def _stop_interfaces(cloud, instance):
    for interface in instance.nics.values():
        _give_back(cloud, interface)
        interface.stop()


def _give_back(cloud, interface):
    if interface.public_ip_auto_assign and interface.public_ip:
        cloud.addresses.give_back(interface.public_ip)
        interface.public_ip = None


def _finish_termination(cloud, instance):
    reason = instance.state_reason
    for interface in instance.nics.values():
        _give_back(cloud, interface)
    # Deletes the interfaces and volumes that go with the instance.
    _MOTO_TERMINATE(instance)
    if reason.code:
        instance.state_reason = reason
    for interface in list(instance.nics.values()):
        interface.instance = None
    instance.nics = {}
    set_state(instance, "terminated")


def install(cloud):
    """Puts the states into moto's classes."""
    cloud.machines.events = Events(cloud)
    _install_attributes()
    _install_addresses(cloud)
    _install_transitions(cloud)
    # The state is told as it is: a repeated RunInstances may find the instance running.
    EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.pop("RunInstances.Reservation.Instances.Instance.State", None)


def _install_attributes():
    moto_init = Instance.__init__

    def init(self, *args, **kwargs):
        self.reachable = False
        moto_init(self, *args, **kwargs)
        set_state(self, "pending")

    Instance.__init__ = init

    def get_groups(self):
        # The groups are those of the primary interface, however they came there.
        nics = getattr(self, "nics", None)
        if nics is None:
            return self._launch_groups
        return list(nics[0]._group_set) if 0 in nics else []

    def set_groups(self, groups):
        if 0 in getattr(self, "nics", {}):
            self.nics[0]._group_set = list(groups)
        else:
            self._launch_groups = groups

    Instance.security_groups = property(get_groups, set_groups)
    NetworkInterface.group_set = property(lambda self: self._group_set)

    def status(self):
        if self.state != "running":
            return {"Status": "not-applicable"}
        passed = {"Details": [{"Name": "reachability", "Status": "passed"}], "Status": "ok"}
        waiting = {"Details": [{"Name": "reachability", "Status": "initializing"}], "Status": "initializing"}
        return passed if self.reachable else waiting

    Instance.instance_status = property(status)
    Instance.system_status = property(status)


def _install_addresses(cloud):
    def primary(self):
        return self.nics.get(0)

    def private(self):
        return primary(self).private_ip_address if primary(self) else None

    def public(self):
        # EC2 shows it when the instance runs.
        return primary(self).public_ip if primary(self) and self.state != "pending" else None

    def private_name(self):
        if primary(self) is None or self.state == "pending":
            return ""
        return network.private_dns_name(private(self))

    def public_name(self):
        return network.public_dns_name(public(self)) if public(self) else ""

    Instance.private_ip = Instance.private_ip_address = property(private)
    Instance.public_ip = Instance.public_ip_address = property(public)
    Instance.private_dns_name = property(private_name)
    Instance.public_dns_name = property(public_name)

    def subnet_id(self):
        # Asked for already while the interfaces are made.
        nics = getattr(self, "nics", {})
        if 0 in nics:
            return nics[0].subnet.id
        return None if self.state == "terminated" else self._subnet_id

    def vpc_id(self):
        return self.ec2_backend.get_subnet(self.subnet_id).vpc_id if self.subnet_id else None

    Instance.subnet_id = property(subnet_id)
    Instance.vpc_id = property(vpc_id)

    def assign_public(self):
        if str(self.public_ip_auto_assign).lower() == "true" and not self.public_ip:
            self.public_ip = cloud.addresses.take()

    NetworkInterface.check_auto_public_ip = assign_public

    def association(self):
        if not self.public_ip:
            return {}
        elastic = self.ec2_backend.address_by_ip([self.public_ip], fail_if_not_found=False)
        found = {
            "publicIp": self.public_ip,
            "publicDnsName": network.public_dns_name(self.public_ip),
            "ipOwnerId": self.ec2_backend.account_id if elastic else "amazon",
        }
        if elastic:
            found["allocationId"] = elastic[0].allocation_id
            found["associationId"] = elastic[0].association_id
        return found

    NetworkInterface.association = property(association)

    moto_interface = NetworkInterface.__init__

    def interface_init(self, *args, **kwargs):
        moto_interface(self, *args, **kwargs)
        if self.private_ip_address:
            self.mac_address = network.mac_of(self.private_ip_address)
            self.private_dns_name = network.private_dns_name(self.private_ip_address)
            for address in self.private_ip_addresses:
                address["PrivateDnsName"] = network.private_dns_name(address["PrivateIpAddress"])

    NetworkInterface.__init__ = interface_init


def _check(instances, allowed, verb):
    for instance in instances:
        if instance.state not in allowed:
            raise refuse(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be {verb}.",
            )


def _changes(before, instances):
    def shown(state):
        return {"Code": state.code, "Name": state.name}

    return [
        {"InstanceId": instance.id, "CurrentState": shown(instance._state), "PreviousState": shown(state)}
        for state, instance in zip(before, instances, strict=True)
    ]


def _install_transitions(cloud):
    def chosen(self):
        ids = self._get_param("InstanceIds", [])
        if not ids:
            raise InvalidParameterCombination("No instances specified")
        self.error_on_dryrun()
        instances = self.ec2_backend.get_multi_instances_by_id(ids)
        return instances, [instance._state for instance in instances]

    def start_instances(self):
        instances, before = chosen(self)
        _check(instances, _STARTABLE, "started")
        for instance in instances:
            if instance.state == "stopped":
                instance._reason, instance.state_reason, instance.reachable = "", StateReason(), False
                for interface in instance.nics.values():
                    interface.start()
                set_state(instance, "pending")
                cloud.start(instance)
        return ActionResult({"StartingInstances": _changes(before, instances)})

    def stop_instances(self):
        instances, before = chosen(self)
        for instance in instances:
            if instance.disable_api_stop is True:
                raise OperationDisableApiStopNotPermitted(instance.id)
        _check(instances, _STOPPABLE, "stopped")
        for instance in instances:
            if instance.state == "running":
                _user_initiated(instance)
                instance.reachable = False
                set_state(instance, "stopping")
                cloud.stop(instance)
        return ActionResult({"StoppingInstances": _changes(before, instances)})

    def terminate_instances(self):
        instances, before = chosen(self)
        for instance in instances:
            if instance.disable_api_termination in (True, "true"):
                raise OperationNotPermitted4(instance.id)
        for instance in instances:
            if instance.state not in ("shutting-down", "terminated"):
                _user_initiated(instance)
                instance.reachable = False
                set_state(instance, "shutting-down")
                cloud.destroy(instance)
        return ActionResult({"TerminatingInstances": _changes(before, instances)})

    def reboot_instances(self):
        instances, _ = chosen(self)
        _check(instances, _REBOOTABLE, "rebooted")
        for instance in instances:
            instance.reachable = False
            cloud.reboot(instance)
        return EmptyResult()

    for method in (start_instances, stop_instances, terminate_instances, reboot_instances):
        setattr(EC2Response, method.__name__, method)

    from moto.ec2.models import EC2Backend

    moto_modify = EC2Backend.modify_instance_attribute

    def modify_instance_attribute(self, instance_id, key, value):
        instance = self.get_instance(instance_id)
        if key in _ONLY_STOPPED and instance.state != "stopped":
            raise refuse("IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state.")
        return moto_modify(self, instance_id, key, value)

    EC2Backend.modify_instance_attribute = modify_instance_attribute


def _user_initiated(instance):
    instance._reason = "User initiated"
    code = "Client.UserInitiatedShutdown"
    instance.state_reason = StateReason(f"{code}: User initiated shutdown", code)
