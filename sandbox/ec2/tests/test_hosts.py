"""Hosts behind instances, for real. Needs root and the parts `network` and `hosts`:

    stack-sandbox up ec2 && STACK_SANDBOX_HOSTS=1 python -m unittest tests.test_hosts

It talks to the running endpoint, and to addresses on the sandbox's bridge."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import unittest
import uuid

import boto3

from stack_ec2 import network
from stack_ec2.host import LINK_PREFIX, NAMESPACE_PREFIX

_ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:18080")


@unittest.skipUnless(os.environ.get("STACK_SANDBOX_HOSTS"), "needs the running sandbox: set STACK_SANDBOX_HOSTS=1")
class Hosts(unittest.TestCase):
    def setUp(self):
        self.ec2 = boto3.client(
            "ec2",
            endpoint_url=_ENDPOINT,
            region_name=network.REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.key = pathlib.Path(folder.name, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.name = f"test-{uuid.uuid4()}"
        self.ec2.import_key_pair(KeyName=self.name, PublicKeyMaterial=self.key.with_suffix(".pub").read_bytes())
        self.addCleanup(self.ec2.delete_key_pair, KeyName=self.name)
        images = self.ec2.describe_images(
            Owners=["099720109477"],
            Filters=[{"Name": "name", "Values": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]}],
        )["Images"]
        self.image = max(images, key=lambda image: image["CreationDate"])["ImageId"]
        self.vpc = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        self.subnet = self.ec2.describe_subnets(
            Filters=[{"Name": "availability-zone", "Values": ["us-east-2a"]}]
        )["Subnets"][0]["SubnetId"]
        self.instances = []
        self.groups = []
        self.addCleanup(self.remove)

    def remove(self):
        if self.instances:
            self.ec2.terminate_instances(InstanceIds=self.instances)
            self.wait("terminated", *self.instances)
        for group in reversed(self.groups):
            self.ec2.delete_security_group(GroupId=group)

    def group(self, suffix=""):
        made = self.ec2.create_security_group(GroupName=self.name + suffix, Description="test", VpcId=self.vpc)
        self.groups.append(made["GroupId"])
        return made["GroupId"]

    def open(self, group, port, cidr="172.31.0.1/32"):
        permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}
        made = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def launch(self, group, user_data="", **more):
        made = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType="t2.xlarge",
            MinCount=1,
            MaxCount=1,
            KeyName=self.name,
            UserData=user_data,
            NetworkInterfaces=[
                {
                    "DeviceIndex": 0,
                    "SubnetId": self.subnet,
                    "Groups": [group],
                    "AssociatePublicIpAddress": True,
                    "DeleteOnTermination": True,
                }
            ],
            **more,
        )["Instances"][0]["InstanceId"]
        self.instances.append(made)
        return made

    def describe(self, instance_id):
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def wait(self, state, *instances):
        for instance_id in instances:
            for _ in range(1200):
                found = self.describe(instance_id)
                if found["State"]["Name"] == state:
                    break
                time.sleep(0.05)
            else:
                self.fail(f"{instance_id} is {found['State']['Name']} instead of {state}")
        return found

    def ssh(self, address, command):
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=2"]
        done = subprocess.run(
            ["ssh", "-i", self.key, *(f"-o{option}" for option in options), f"ubuntu@{address}", command],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.stdout if done.returncode == 0 else None

    def eventually_ssh(self, address, command="true"):
        for _ in range(300):
            answer = self.ssh(address, command)
            if answer is not None:
                return answer
            time.sleep(0.1)
        self.fail(f"no SSH to {address}")

    def listen(self, address, port):
        """Has the host answer on a port."""
        script = f"import socketserver as s; s.TCPServer(('0.0.0.0', {port}), s.BaseRequestHandler).serve_forever()"
        self.eventually_ssh(address, f'sudo systemd-run --quiet python3 -c "{script}"')
        self.eventually_ssh(address, f"until ss -ltn | grep -q :{port}; do sleep 0.05; done")

    def reaches(self, address, port):
        with contextlib.closing(socket.socket()) as connection:
            connection.settimeout(1)
            try:
                connection.connect((address, port))
            except TimeoutError:
                return False
            return True

    def left(self, instance_id):
        """What is left of a host on the machine."""
        short = instance_id[-12:]
        places = [pathlib.Path("/run/netns", NAMESPACE_PREFIX + short)]
        places += [pathlib.Path("/sys/class/net", LINK_PREFIX + short)]
        places += [pathlib.Path("/run/systemd/nspawn/propagate", instance_id)]
        found = [str(place) for place in places if place.exists()]
        mounts = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        found += [line for line in mounts.splitlines() if instance_id in line]
        for status in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
            with contextlib.suppress(OSError):
                if instance_id in status.read_text(encoding="utf-8"):
                    found.append(str(status))
        return found

    def test_an_instance_is_a_host_from_launch_to_termination(self):
        group = self.group()
        self.open(group, 22)
        user_data = "#cloud-config\nwrite_files:\n- {path: /root/mark, content: written}\n"
        instance_id = self.launch(group, user_data)
        found = self.wait("running", instance_id)
        for address in (found["PublicIpAddress"], found["PrivateIpAddress"]):
            self.eventually_ssh(address)
        host = found["PublicIpAddress"]
        self.assertIn("status: done", self.eventually_ssh(host, "cloud-init status --wait"))
        self.assertEqual(self.ssh(host, "sudo -n cat /root/mark"), "written")
        self.assertEqual(self.ssh(host, "systemctl is-system-running --wait").strip(), "running")
        self.assertEqual(self.ssh(host, "hostname -f").strip(), found["PrivateDnsName"])
        self.assertEqual(self.ssh(host, "getent hosts $(hostname)").split()[0], found["PrivateIpAddress"])
        # There is no way out: no default route, and no right to make one.
        self.assertEqual(self.ssh(host, "ip route show default"), "")
        self.assertIsNone(self.ssh(host, "sudo ip route add default via 172.31.0.1"))
        self.assertIsNone(self.ssh(host, "sudo iptables -F"))
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        self.wait("terminated", instance_id)
        self.assertEqual(self.left(instance_id), [])

    def test_the_host_key_of_the_user_data_is_the_hosts_key_from_the_first_contact(self):
        group = self.group()
        self.open(group, 22)
        host_key = self.key.with_name("host")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", host_key], check=True)
        public = host_key.with_suffix(".pub").read_text(encoding="ascii").strip()
        private = "".join(f"    {line}\n" for line in host_key.read_text(encoding="ascii").splitlines())
        data = f"#cloud-config\nssh_keys:\n  ed25519_private: |\n{private}  ed25519_public: {public}\n"
        instance_id = self.launch(group, data)
        host = self.wait("running", instance_id)["PublicIpAddress"]
        for _ in range(300):
            scan = subprocess.run(
                ["ssh-keyscan", "-T", "1", host], capture_output=True, text=True, check=False
            ).stdout
            if scan:
                break
            time.sleep(0.05)
        self.assertEqual([line for line in scan.splitlines() if line[0] != "#"], [f"{host} {public}"])

    def test_only_what_a_rule_opens_is_open(self):
        group = self.group()
        self.open(group, 22)
        instance_id = self.launch(group)
        host = self.wait("running", instance_id)["PublicIpAddress"]
        self.listen(host, 5671)
        self.assertFalse(self.reaches(host, 5671))
        rule = self.open(group, 5671, "0.0.0.0/0")
        self.assertTrue(self.reaches(host, 5671))
        self.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])
        self.assertFalse(self.reaches(host, 5671))
        # The rule is for the address that asks.
        self.open(group, 5671, "172.31.0.2/32")
        self.assertFalse(self.reaches(host, 5671))

    def test_a_rule_for_a_group_is_for_its_members(self):
        group, peers = self.group(), self.group(" peers")
        for each in (group, peers):
            self.open(each, 22)
        first, second = self.launch(group), self.launch(peers)
        target = self.wait("running", first)["PrivateIpAddress"]
        peer = self.wait("running", second)["PublicIpAddress"]
        self.listen(target, 5672)
        attempt = f"timeout 1 bash -c '</dev/tcp/{target}/5672'"
        self.eventually_ssh(peer)
        self.assertIsNone(self.ssh(peer, attempt))
        permission = {"IpProtocol": "tcp", "FromPort": 5672, "ToPort": 5672, "UserIdGroupPairs": [{"GroupId": peers}]}
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        self.assertIsNotNone(self.ssh(peer, attempt))
        self.assertFalse(self.reaches(target, 5672))
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])

    def test_a_stopped_instance_keeps_its_disk_and_its_private_address(self):
        group = self.group()
        self.open(group, 22)
        instance_id = self.launch(group)
        before = self.wait("running", instance_id)
        self.eventually_ssh(before["PublicIpAddress"], "echo kept | sudo tee /root/kept")
        self.ec2.stop_instances(InstanceIds=[instance_id])
        self.wait("stopped", instance_id)
        self.assertFalse(pathlib.Path("/run/netns", NAMESPACE_PREFIX + instance_id[-12:]).exists())
        self.ec2.start_instances(InstanceIds=[instance_id])
        after = self.wait("running", instance_id)
        self.assertEqual(after["PrivateIpAddress"], before["PrivateIpAddress"])
        self.assertNotEqual(after["PublicIpAddress"], before["PublicIpAddress"])
        self.assertEqual(self.eventually_ssh(after["PublicIpAddress"], "sudo cat /root/kept"), "kept\n")

    def test_a_host_that_shuts_itself_down_is_a_stopped_instance(self):
        group = self.group()
        self.open(group, 22)
        instance_id = self.launch(group)
        host = self.wait("running", instance_id)["PublicIpAddress"]
        self.eventually_ssh(host)
        self.ssh(host, "sudo systemctl poweroff")
        reason = self.wait("stopped", instance_id)["StateReason"]["Code"]
        self.assertEqual(reason, "Client.InstanceInitiatedShutdown")

    def test_a_host_boots_again_by_itself_and_by_the_api(self):
        group = self.group()
        self.open(group, 22)
        instance_id = self.launch(group)
        host = self.wait("running", instance_id)["PublicIpAddress"]
        mark = "sudo touch /run/mark; test -e /run/mark"
        self.eventually_ssh(host, mark)
        self.ssh(host, "sudo systemctl reboot")
        self.eventually_ssh(host, "test ! -e /run/mark")
        self.eventually_ssh(host, mark)
        self.ec2.reboot_instances(InstanceIds=[instance_id])
        self.eventually_ssh(host, "test ! -e /run/mark")
        self.assertEqual(self.describe(instance_id)["State"]["Name"], "running")


if __name__ == "__main__":
    unittest.main()
