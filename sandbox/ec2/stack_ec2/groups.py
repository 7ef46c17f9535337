"""Security groups as EC2 keeps them: names, dependencies, rules one by one, all or nothing."""

import ipaddress
import re

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidPermissionNotFoundError
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses import EC2Response

from .cloud import refuse

#: Characters that a name and a description may have.
_ALLOWED = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*")


def install(cloud):
    """Puts the rules into moto's classes."""
    del cloud
    _install_rule()
    _install_create()
    _install_delete()
    _install_permissions()


def _install_rule():
    def key(rule):
        return (
            rule.ip_protocol,
            rule.from_port,
            rule.to_port,
            rule.ip_range.get("CidrIp"),
            rule.ip_range.get("CidrIpv6"),
            rule.source_group.get("GroupId"),
            rule.prefix_list_id,
        )

    # A rule is the same with another description.
    SecurityGroupRule.__eq__ = lambda self, other: key(self) == key(other)
    SecurityGroupRule.description = property(
        lambda self: self.ip_range.get("Description") or self.source_group.get("Description")
    )


def _install_create():
    moto_create = EC2Backend.create_security_group

    def create_security_group(self, name, description, vpc_id=None, tags=None, force=False, is_default=None):
        # moto makes its default groups by force.
        if not force:
            _check_text("groupName", name)
            _check_text("groupDescription", description)
            if name.startswith("sg-"):
                raise refuse(
                    "InvalidParameterValue",
                    f"Invalid value '{name}' for groupName. Group names may not be in the format sg-*",
                )
            vpc_id = vpc_id or self.default_vpc.id
            if vpc_id not in self.vpcs:
                raise refuse("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
            if any(group.name.lower() == name.lower() for group in self.groups[vpc_id].values()):
                raise refuse(
                    "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
                )
        return moto_create(
            self, name, description, vpc_id=vpc_id, tags=tags, force=force, is_default=is_default
        )

    EC2Backend.create_security_group = create_security_group


def _check_text(parameter, text):
    if not text:
        raise refuse("MissingParameter", f"The request must contain the parameter {parameter}")
    if len(text) > 255 or not _ALLOWED.fullmatch(text):
        raise refuse(
            "InvalidParameterValue",
            f"Value ({text}) for parameter {parameter} is invalid. Character sets beyond ASCII are not supported, "
            "and at most 255 of a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$* are allowed.",
        )


def _install_delete():
    moto_delete = EC2Backend._delete_security_group

    def delete(self, vpc_id, group_id):
        group = self.get_security_group_from_id(group_id)
        if group is not None and group.is_default:
            raise refuse(
                "CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
            )
        used = any(member.id == group_id for interface in self.enis.values() for member in interface._group_set)
        if used or _referenced(self, group_id):
            raise refuse("DependencyViolation", f"resource {group_id} has a dependent object")
        return moto_delete(self, vpc_id, group_id)

    EC2Backend._delete_security_group = delete


def _referenced(backend, group_id):
    return any(
        rule.source_group.get("GroupId") == group_id
        for groups in backend.groups.values()
        for group in groups.values()
        if group.id != group_id
        for rule in group.ingress_rules + group.egress_rules
    )


def _install_permissions():
    for direction in ("ingress", "egress"):
        _install_authorize(direction)
        _install_revoke(direction)


def _install_authorize(direction):
    name = f"authorize_security_group_{direction}"

    def authorize(self):
        self.error_on_dryrun()
        made, kept = [], {}
        try:
            for arguments in self._process_rules_from_querystring():
                group = _group(self, arguments)
                kept.setdefault(group.id, (group, list(group.ingress_rules), list(group.egress_rules)))
                for cidr in arguments["ip_ranges"]:
                    _normalise(cidr)
                if not arguments["ip_protocol"]:
                    raise refuse("MissingParameter", "The request must contain the parameter ipProtocol")
                _check_ports(arguments)
                rules, _ = getattr(self.ec2_backend, name)(**arguments)
                made.extend(rules)
        except Exception:
            # All rules of a call come, or none.
            for group, ingress, egress in kept.values():
                group.ingress_rules, group.egress_rules = ingress, egress
            raise
        return ActionResult({"Return": True, "SecurityGroupRules": made})

    setattr(EC2Response, name, authorize)


def _install_revoke(direction):
    name = f"revoke_security_group_{direction}"

    def revoke(self):
        self.error_on_dryrun()
        for arguments in self._process_rules_from_querystring():
            del arguments["sgrule_tags"]
            group = _group(self, arguments)
            for cidr in arguments["ip_ranges"]:
                _normalise(cidr)
            by_id = arguments["security_rule_ids"]
            known = {rule.id for rule in (group.ingress_rules if direction == "ingress" else group.egress_rules)}
            for rule_id in by_id:
                if rule_id not in known:
                    raise refuse(
                        "InvalidSecurityGroupRuleId.NotFound",
                        f"The security group rule ID '{rule_id}' does not exist",
                    )
            try:
                getattr(self.ec2_backend, name)(**arguments)
            except InvalidPermissionNotFoundError:
                # In a default VPC EC2 says nothing.
                if not self.ec2_backend.vpcs[group.vpc_id].is_default:
                    raise
        return ActionResult({"Return": True})

    setattr(EC2Response, name, revoke)


def _group(response, arguments):
    wanted = arguments["group_name_or_id"]
    group = response.ec2_backend.get_security_group_by_name_or_id(wanted)
    if group is None:
        raise refuse("InvalidGroup.NotFound", f"The security group '{wanted}' does not exist")
    return group


def _normalise(entry):
    """EC2 stores the network that an address with host bits lies in."""
    for name, kind in (("CidrIp", ipaddress.IPv4Network), ("CidrIpv6", ipaddress.IPv6Network)):
        if name in entry:
            try:
                entry[name] = str(kind(entry[name], strict=False))
            except ValueError:
                raise refuse(
                    "InvalidParameterValue",
                    f"CIDR block {entry[name]} is malformed",
                ) from None


def _check_ports(arguments):
    protocol = str(arguments["ip_protocol"]).lower()
    if protocol not in ("tcp", "udp", "6", "17"):
        if protocol not in ("-1", "icmp", "icmpv6", "1", "58") and not protocol.isdigit():
            raise refuse("InvalidParameterValue", f"Invalid value '{protocol}' for IP protocol. Unknown protocol.")
        if protocol != "-1":
            for end in ("from_port", "to_port"):
                arguments[end] = -1 if arguments[end] is None else arguments[end]
        return
    low, high = arguments["from_port"], arguments["to_port"]
    if low is None or high is None:
        raise refuse(
            "InvalidParameterValue",
            "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.",
        )
    if not (0 <= int(low) <= int(high) <= 65535):
        raise refuse("InvalidParameterValue", f"Invalid value for portRange: from {low} to {high}.")
