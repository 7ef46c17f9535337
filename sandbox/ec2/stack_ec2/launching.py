"""RunInstances as EC2 does it: client tokens, limits, checks before anything is made."""

import base64
import binascii
import json

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response

from .cloud import refuse

#: Bytes of user data before encoding.
USER_DATA_LIMIT = 16384

#: Parameters that are not part of what a client token stands for.
_NOT_COMPARED = ("ClientToken", "DryRun")


def install(cloud):
    """Puts the checks into moto's classes."""
    moto_run = EC2Response.run_instances
    moto_backend_run = EC2Backend.run_instances

    def run_instances(self):
        parameters = self._get_params()
        token = self._get_param("ClientToken")
        key = (self.current_account, self.region, token)
        fingerprint = _fingerprint(parameters)
        if token:
            if len(token) > 64 or not token.isascii():
                raise refuse("InvalidParameterValue", "ClientToken must be at most 64 ASCII characters")
            if key in cloud.tokens:
                known, reservation = cloud.tokens[key]
                if known != fingerprint:
                    raise refuse(
                        "IdempotentParameterMismatch",
                        "Arguments on this idempotent request are inconsistent with arguments used in previous "
                        "request(s).",
                    )
                self.error_on_dryrun()
                return ActionResult(reservation)
        _check(self, parameters)
        before = set(self.ec2_backend.reservations)
        try:
            result = moto_run(self)
        except Exception:
            # What could not be made in full leaves nothing.
            for made in set(self.ec2_backend.reservations) - before:
                del self.ec2_backend.reservations[made]
            raise
        made = set(self.ec2_backend.reservations) - before
        reservation = self.ec2_backend.reservations[made.pop()]
        for instance in reservation.instances:
            instance.client_token = token or ""
            instance.disable_api_termination = parameters.get("DisableApiTermination") in (True, "true")
            _set_performance(self.ec2_backend, instance, parameters.get("BlockDeviceMappings") or [])
        if token:
            cloud.tokens[key] = (fingerprint, reservation)
        return result

    def backend_run(self, *args, **kwargs):
        for interface in kwargs.get("nics") or []:
            # An interface that RunInstances makes goes with the instance unless told otherwise.
            if "NetworkInterfaceId" not in interface:
                interface.setdefault("DeleteOnTermination", True)
        _choose_subnet(self, kwargs)
        reservation = moto_backend_run(self, *args, **kwargs)
        for instance in reservation.instances:
            if not kwargs.get("nics"):
                instance.nics[0].delete_on_termination = True
            cloud.launch(instance)
        return reservation

    moto_modify_volume = EC2Backend.modify_volume

    def modify_volume(self, volume_id, size=None, kind=None, iops=None, throughput=None, multi_attach=None):
        volume = moto_modify_volume(self, volume_id, size, kind, iops, throughput, multi_attach)
        if throughput:
            volume.throughput = int(throughput)
        return volume

    EC2Backend.modify_volume = modify_volume
    EC2Response.run_instances = run_instances
    EC2Backend.run_instances = backend_run


def _set_performance(backend, instance, mappings):
    """moto drops these from a launch. Without them gp3 has its base performance."""
    asked = {mapping.get("DeviceName"): mapping.get("Ebs") or {} for mapping in mappings}
    for device, attached in instance.get_block_device_mapping:
        volume = backend.get_volume(attached.volume_id)
        wanted = asked.get(device, {})
        if volume.volume_type == "gp3":
            volume.iops = int(wanted.get("Iops") or 3000)
            volume.throughput = int(wanted.get("Throughput") or 125)
        elif wanted.get("Iops"):
            volume.iops = int(wanted["Iops"])


def _choose_subnet(backend, kwargs):
    """Without a subnet EC2 takes the default one of the zone; moto would leave the VPC."""
    interfaces = kwargs.get("nics") or []
    bare = [interface for interface in interfaces if not {"SubnetId", "NetworkInterfaceId"} & set(interface)]
    if kwargs.get("subnet_id") or (interfaces and not bare):
        return
    defaults = backend.get_default_subnets()
    zone = kwargs.get("placement") or min(defaults, default=None)
    if zone not in defaults:
        raise refuse("MissingInput", "No default subnet for the request. Please specify a subnet.")
    for interface in bare:
        interface["SubnetId"] = defaults[zone].id
    if not interfaces:
        kwargs["subnet_id"] = defaults[zone].id


def _fingerprint(parameters):
    compared = {key: value for key, value in parameters.items() if key not in _NOT_COMPARED}
    return json.dumps(compared, sort_keys=True, default=str)


def _check(response, parameters):
    user_data = parameters.get("UserData")
    if user_data:
        try:
            raw = base64.b64decode(user_data, validate=True)
        except (binascii.Error, ValueError):
            raise refuse("InvalidParameterValue", "Invalid BASE64 encoding of user data.") from None
        if len(raw) > USER_DATA_LIMIT:
            raise refuse("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")
    interfaces = parameters.get("NetworkInterfaces") or []
    if interfaces and (parameters.get("SecurityGroupIds") or parameters.get("SecurityGroups")):
        raise refuse(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same request",
        )
    if interfaces and parameters.get("PrivateIpAddress"):
        raise refuse(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level private IP address may not be specified on the same request",
        )
    for interface in interfaces:
        for group_id in interface.get("Groups") or []:
            if response.ec2_backend.get_security_group_from_id(group_id) is None:
                raise refuse("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
