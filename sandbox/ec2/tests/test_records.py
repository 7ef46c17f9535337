"""The endpoint's records, over its own HTTP server, without machines."""

import base64
import threading
import time
import unittest
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from stack_ec2 import endpoint, network
from stack_ec2.machines import RecordsOnly

_MACHINES = RecordsOnly(delay=0.15)
_CLOUD = endpoint.install(_MACHINES)
_SERVER = endpoint.serve("127.0.0.1", 0)
threading.Thread(target=_SERVER.serve_forever, daemon=True).start()


def client(service="ec2"):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{_SERVER.server_port}",
        region_name=network.REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


class Case(unittest.TestCase):
    def setUp(self):
        self.ec2 = client()
        images = self.ec2.describe_images(
            Owners=["099720109477"],
            Filters=[
                {"Name": "name", "Values": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]},
                {"Name": "state", "Values": ["available"]},
                {"Name": "architecture", "Values": ["x86_64"]},
                {"Name": "root-device-type", "Values": ["ebs"]},
            ],
        )["Images"]
        self.image = max(images, key=lambda image: image["CreationDate"])["ImageId"]
        self.vpc = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
        self.subnet = self.ec2.describe_subnets(
            Filters=[
                {"Name": "default-for-az", "Values": ["true"]},
                {"Name": "availability-zone", "Values": ["us-east-2a"]},
            ]
        )["Subnets"][0]
        # Names are unique, so that the tests share one server.
        self.group = self.ec2.create_security_group(
            GroupName=f"group {uuid.uuid4()}", Description="test", VpcId=self.vpc["VpcId"]
        )["GroupId"]

    def run_one(self, token=None, groups=None, **more):
        arguments = {
            "ImageId": self.image,
            "InstanceType": "t2.xlarge",
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": token or str(uuid.uuid4()),
            "NetworkInterfaces": [
                {
                    "DeviceIndex": 0,
                    "SubnetId": self.subnet["SubnetId"],
                    "Groups": groups or [self.group],
                    "AssociatePublicIpAddress": True,
                    "DeleteOnTermination": True,
                }
            ],
            **more,
        }
        return self.ec2.run_instances(**arguments)["Instances"][0]

    def describe(self, instance_id):
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def wait(self, instance_id, state):
        for _ in range(200):
            found = self.describe(instance_id)
            if found["State"]["Name"] == state:
                return found
            time.sleep(0.02)
        self.fail(f"{instance_id} is {found['State']} instead of {state}")

    def terminate(self, instance_id):
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        return self.wait(instance_id, "terminated")

    def refused(self, code):
        case = self

        class Refused:
            def __enter__(self):
                return self

            def __exit__(self, kind, error, trace):
                case.assertIsInstance(error, ClientError)
                case.assertEqual(error.response["Error"]["Code"], code)
                return True

        return Refused()


class Tokens(Case):
    def test_a_token_gives_the_first_instance_again_also_after_its_end(self):
        token = str(uuid.uuid4())
        first = self.run_one(token)["InstanceId"]
        self.assertEqual(self.run_one(token)["InstanceId"], first)
        self.terminate(first)
        again = self.run_one(token)
        self.assertEqual((again["InstanceId"], again["State"]["Name"]), (first, "terminated"))

    def test_a_token_with_other_parameters_is_refused(self):
        token = str(uuid.uuid4())
        self.run_one(token)
        with self.refused("IdempotentParameterMismatch"):
            self.run_one(token, InstanceType="t2.micro")

    def test_a_refused_launch_binds_no_token(self):
        token = str(uuid.uuid4())
        with self.refused("InvalidGroup.NotFound"):
            self.run_one(token, groups=["sg-0123456789abcdef0"])
        self.run_one(token)

    def test_an_instance_is_found_by_its_token(self):
        token = str(uuid.uuid4())
        made = self.run_one(token)["InstanceId"]
        found = self.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [token]}])["Reservations"]
        self.assertEqual([i["InstanceId"] for r in found for i in r["Instances"]], [made])
        self.assertEqual(found[0]["Instances"][0]["ClientToken"], token)

    def test_an_unknown_filter_is_an_error_response(self):
        with self.refused("InvalidParameterValue"):
            self.ec2.describe_instances(Filters=[{"Name": "no-such-filter", "Values": ["x"]}])


class States(Case):
    def test_an_instance_goes_through_all_its_states(self):
        made = self.run_one()
        self.assertEqual(made["State"], {"Code": 0, "Name": "pending"})
        self.assertEqual(made["PrivateDnsName"], "")
        self.assertNotIn("PublicIpAddress", made)
        instance_id = made["InstanceId"]
        running = self.wait(instance_id, "running")
        stopping = self.ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"][0]
        self.assertEqual(stopping["PreviousState"]["Name"], "running")
        self.assertEqual(stopping["CurrentState"], {"Code": 64, "Name": "stopping"})
        stopped = self.wait(instance_id, "stopped")
        self.assertEqual(stopped["PrivateIpAddress"], running["PrivateIpAddress"])
        self.assertNotIn("PublicIpAddress", stopped)
        starting = self.ec2.start_instances(InstanceIds=[instance_id])["StartingInstances"][0]
        self.assertEqual(starting["CurrentState"]["Name"], "pending")
        again = self.wait(instance_id, "running")
        self.assertNotEqual(again["PublicIpAddress"], running["PublicIpAddress"])
        ending = self.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
        self.assertEqual(ending["CurrentState"], {"Code": 32, "Name": "shutting-down"})
        ended = self.wait(instance_id, "terminated")
        self.assertEqual((ended["NetworkInterfaces"], ended["SecurityGroups"]), ([], []))
        self.assertNotIn("PrivateIpAddress", ended)
        self.assertEqual(ended["StateReason"]["Code"], "Client.UserInitiatedShutdown")

    def test_status_checks_pass_some_time_after_the_start(self):
        instance_id = self.run_one()["InstanceId"]
        self.wait(instance_id, "running")
        seen = []
        for _ in range(200):
            status = self.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"][0]
            pair = (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"])
            if pair not in seen:
                seen.append(pair)
            if pair == ("ok", "ok"):
                break
            time.sleep(0.01)
        self.assertEqual(seen, [("initializing", "initializing"), ("ok", "ok")])

    def test_calls_that_do_not_fit_the_state_are_refused(self):
        instance_id = self.run_one()["InstanceId"]
        with self.refused("IncorrectInstanceState"):
            self.ec2.stop_instances(InstanceIds=[instance_id])
        self.wait(instance_id, "running")
        with self.refused("IncorrectInstanceState"):
            self.ec2.modify_instance_attribute(InstanceId=instance_id, InstanceType={"Value": "t2.large"})
        self.terminate(instance_id)
        for call in (self.ec2.start_instances, self.ec2.stop_instances, self.ec2.reboot_instances):
            with self.refused("IncorrectInstanceState"):
                call(InstanceIds=[instance_id])

    def test_terminating_twice_is_no_error(self):
        instance_id = self.run_one()["InstanceId"]
        self.terminate(instance_id)
        again = self.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
        self.assertEqual(again["PreviousState"]["Name"], "terminated")
        self.assertEqual(again["CurrentState"]["Name"], "terminated")

    def test_terminating_takes_the_interface_and_the_volume_along(self):
        made = self.run_one(
            BlockDeviceMappings=[
                {
                    "DeviceName": "/dev/sda1",
                    "Ebs": {"VolumeType": "gp3", "VolumeSize": 60, "DeleteOnTermination": True},
                }
            ]
        )
        found = self.wait(made["InstanceId"], "running")
        volume = found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        self.assertEqual(self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"], 60)
        self.terminate(made["InstanceId"])
        with self.refused("InvalidVolume.NotFound"):
            self.ec2.describe_volumes(VolumeIds=[volume])
        with self.refused("InvalidNetworkInterfaceID.NotFound"):
            self.ec2.describe_network_interfaces(
                NetworkInterfaceIds=[found["NetworkInterfaces"][0]["NetworkInterfaceId"]]
            )


class Launching(Case):
    def test_addresses_lie_in_the_subnet_and_in_the_own_public_range(self):
        found = self.wait(self.run_one()["InstanceId"], "running")
        private, public = found["PrivateIpAddress"], found["PublicIpAddress"]
        self.assertIn(network.ipaddress.ip_address(private), network.ipaddress.ip_network(self.subnet["CidrBlock"]))
        self.assertIn(network.ipaddress.ip_address(public), network.PUBLIC)
        dashed = private.replace(".", "-")
        self.assertEqual(found["PrivateDnsName"], f"ip-{dashed}.us-east-2.compute.internal")
        self.assertEqual(
            found["PublicDnsName"], f"ec2-{public.replace('.', '-')}.us-east-2.compute.amazonaws.com"
        )
        interface = found["NetworkInterfaces"][0]
        self.assertEqual(interface["Association"]["PublicIp"], public)
        self.assertEqual(interface["PrivateDnsName"], found["PrivateDnsName"])
        self.assertEqual(interface["MacAddress"], network.mac_of(private))

    def test_no_default_subnet_reaches_into_the_public_range(self):
        subnets = self.ec2.describe_subnets()["Subnets"]
        blocks = [network.ipaddress.ip_network(subnet["CidrBlock"]) for subnet in subnets]
        self.assertTrue(all(not block.overlaps(network.PUBLIC) for block in blocks))
        self.assertIn(network.ipaddress.ip_network("172.31.32.0/20"), blocks)

    def test_instances_keep_off_the_nodes_addresses(self):
        subnet = self.ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["172.31.32.0/20"]}])
        self.subnet = subnet["Subnets"][0]
        address = network.ipaddress.ip_address(self.run_one()["PrivateIpAddress"])
        self.assertIn(address, network.ipaddress.ip_network("172.31.32.0/20"))
        self.assertNotIn(address, network.NODES)

    def test_without_a_subnet_the_instance_is_in_a_default_one(self):
        arguments = {"ImageId": self.image, "InstanceType": "t2.micro", "MinCount": 1, "MaxCount": 1}
        for more in ({}, {"NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": False}]}):
            made = self.ec2.run_instances(**arguments, **more)["Instances"][0]
            self.assertEqual(made["VpcId"], self.vpc["VpcId"])
            self.assertIn(network.ipaddress.ip_address(made["PrivateIpAddress"]), network.VPC)
            self.assertEqual([group["GroupName"] for group in made["SecurityGroups"]], ["default"])
            self.assertEqual("PublicIpAddress" in self.wait(made["InstanceId"], "running"), not more)

    def test_groups_of_the_interface_are_the_groups_of_the_instance(self):
        made = self.run_one()
        self.assertEqual([group["GroupId"] for group in made["SecurityGroups"]], [self.group])
        other = self.ec2.create_security_group(
            GroupName=f"other {uuid.uuid4()}", Description="test", VpcId=self.vpc["VpcId"]
        )["GroupId"]
        interface = self.describe(made["InstanceId"])["NetworkInterfaces"][0]["NetworkInterfaceId"]
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[other])
        found = self.describe(made["InstanceId"])
        self.assertEqual([group["GroupId"] for group in found["SecurityGroups"]], [other])
        self.assertEqual([group["GroupId"] for group in found["NetworkInterfaces"][0]["Groups"]], [other])

    def test_a_volume_has_the_performance_asked_for_or_the_base_one(self):
        table = {(None, None): (3000, 125), (4000, 250): (4000, 250)}
        for (iops, throughput), expected in table.items():
            disk = {"VolumeType": "gp3", "VolumeSize": 60, "DeleteOnTermination": True}
            disk.update({} if iops is None else {"Iops": iops, "Throughput": throughput})
            made = self.run_one(BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": disk}])
            of = [{"Name": "attachment.instance-id", "Values": [made["InstanceId"]]}]
            volume = self.ec2.describe_volumes(Filters=of)["Volumes"][0]
            self.assertEqual((volume["Iops"], volume["Throughput"]), expected)
        self.ec2.modify_volume(VolumeId=volume["VolumeId"], Throughput=300)
        self.assertEqual(self.ec2.describe_volumes(Filters=of)["Volumes"][0]["Throughput"], 300)

    def test_a_protected_instance_is_not_terminated(self):
        instance_id = self.run_one(DisableApiTermination=True)["InstanceId"]
        with self.refused("OperationNotPermitted"):
            self.ec2.terminate_instances(InstanceIds=[instance_id])
        self.ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
        self.terminate(instance_id)

    def test_user_data_has_a_limit(self):
        self.run_one(UserData="x" * 16384)
        with self.refused("InvalidParameterValue"):
            self.run_one(UserData="x" * 16385)

    def test_user_data_is_read_back_as_it_was(self):
        instance_id = self.run_one(UserData="#cloud-config\n{}\n")["InstanceId"]
        found = self.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        self.assertEqual(base64.b64decode(found["UserData"]["Value"]), b"#cloud-config\n{}\n")

    def test_unknown_images_and_keys_are_refused(self):
        with self.refused("InvalidAMIID.NotFound"):
            self.run_one(ImageId="ami-0123456789abcdef0")
        with self.refused("InvalidKeyPair.NotFound"):
            self.run_one(KeyName="no such key")

    def test_the_interface_and_the_instance_may_not_both_have_groups(self):
        with self.refused("InvalidParameterCombination"):
            self.run_one(SecurityGroupIds=[self.group])


class Groups(Case):
    def authorize(self, cidr, port=22, group=None):
        permission = {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "IpRanges": [{"CidrIp": cidr, "Description": "a rule"}],
        }
        return self.ec2.authorize_security_group_ingress(GroupId=group or self.group, IpPermissions=[permission])

    def rules(self):
        found = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [self.group]}])
        return [rule for rule in found["SecurityGroupRules"] if not rule["IsEgress"]]

    def test_names_differ_by_more_than_case(self):
        name = f"Name {uuid.uuid4()}"
        self.ec2.create_security_group(GroupName=name, Description="test", VpcId=self.vpc["VpcId"])
        with self.refused("InvalidGroup.Duplicate"):
            self.ec2.create_security_group(GroupName=name.upper(), Description="test", VpcId=self.vpc["VpcId"])

    def test_characters_that_ec2_does_not_take_are_refused(self):
        for name, description in (("it's", "test"), (f"n {uuid.uuid4()}", 'a "test"'), ("sg-1", "test")):
            with self.refused("InvalidParameterValue"):
                self.ec2.create_security_group(GroupName=name, Description=description, VpcId=self.vpc["VpcId"])

    def test_a_group_in_use_stays_until_the_instance_has_ended(self):
        instance_id = self.run_one()["InstanceId"]
        with self.refused("DependencyViolation"):
            self.ec2.delete_security_group(GroupId=self.group)
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        with self.refused("DependencyViolation"):
            self.ec2.delete_security_group(GroupId=self.group)
        self.wait(instance_id, "terminated")
        self.ec2.delete_security_group(GroupId=self.group)
        with self.refused("InvalidGroup.NotFound"):
            self.ec2.delete_security_group(GroupId=self.group)

    def test_a_group_that_another_groups_rule_names_stays(self):
        other = self.ec2.create_security_group(
            GroupName=f"other {uuid.uuid4()}", Description="test", VpcId=self.vpc["VpcId"]
        )["GroupId"]
        permission = {
            "IpProtocol": "tcp",
            "FromPort": 1,
            "ToPort": 2,
            "UserIdGroupPairs": [{"GroupId": self.group, "Description": "peers"}],
        }
        made = self.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[permission])
        self.assertEqual(made["SecurityGroupRules"][0]["Description"], "peers")
        with self.refused("DependencyViolation"):
            self.ec2.delete_security_group(GroupId=self.group)
        self.ec2.revoke_security_group_ingress(
            GroupId=other, SecurityGroupRuleIds=[made["SecurityGroupRules"][0]["SecurityGroupRuleId"]]
        )
        self.ec2.delete_security_group(GroupId=self.group)

    def test_host_bits_are_cleared(self):
        made = self.authorize("10.1.2.3/16")["SecurityGroupRules"][0]
        self.assertEqual(made["CidrIpv4"], "10.1.0.0/16")
        with self.refused("InvalidPermission.Duplicate"):
            self.authorize("10.1.0.0/16")

    def test_all_rules_of_a_call_come_or_none(self):
        self.authorize("10.0.0.0/8")
        permissions = [
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
            for port in (443, 22)
        ]
        with self.refused("InvalidPermission.Duplicate"):
            self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=permissions)
        self.assertEqual([rule["FromPort"] for rule in self.rules()], [22])
        permissions[1]["FromPort"] = permissions[1]["ToPort"] = 80
        made = self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=permissions)
        self.assertEqual(len(made["SecurityGroupRules"]), 2)

    def test_an_unknown_rule_id_is_refused(self):
        with self.refused("InvalidSecurityGroupRuleId.NotFound"):
            self.ec2.revoke_security_group_ingress(
                GroupId=self.group, SecurityGroupRuleIds=["sgr-0123456789abcdef0"]
            )


class Identity(Case):
    def test_the_account_is_told(self):
        self.assertEqual(client("sts").get_caller_identity()["Account"], "123456789012")


class Storage(Case):
    def test_s3_writes_once_under_a_condition(self):
        s3 = client("s3")
        bucket = f"bucket-{uuid.uuid4()}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": network.REGION})
        s3.put_object(Bucket=bucket, Key="lock", Body=b"1", IfNoneMatch="*")
        with self.refused("PreconditionFailed"):
            s3.put_object(Bucket=bucket, Key="lock", Body=b"2", IfNoneMatch="*")


if __name__ == "__main__":
    unittest.main()
