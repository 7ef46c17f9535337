"""One host: a Debian system in namespaces of its own, with its disk over the shared image."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

from . import network, system

#: Seconds that a system has to shut itself down before it is ended.
SHUTDOWN = 30

#: What systemd-nspawn ends with when the system in it wants to boot again.
_REBOOT = 133

#: Name of the bridge all hosts are on, and what every link and namespace of a host begins with.
BRIDGE = "stackbr0"
LINK_PREFIX = "sh-"
NAMESPACE_PREFIX = "stackhost-"

_EMPTY_USER_DATA = b"#cloud-config\n{}\n"


class Host:
    """A host of an instance. Its methods block; one thread at a time uses them, but for `set_firewall`."""

    def __init__(self, launch, folder, image, packages, log):
        self.launch = launch
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        self.ended = threading.Event()
        self._image, self._packages, self._log = image, packages, log
        short = launch.instance_id[-12:]
        self.namespace, self._link = NAMESPACE_PREFIX + short, LINK_PREFIX + short
        self._process = self._leader = None
        self._firewall_lock = threading.Lock()
        self._firewall = None

    def make(self):
        """The disk, with what EC2 gives to a new instance on it."""
        upper = self.folder / "upper"
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        self._lend_packages(upper)
        self._mount()
        name = network.host_name(self.launch.private_address)
        full = network.private_dns_name(self.launch.private_address)
        etc = self.root / "etc"
        (etc / "hostname").write_text(name + "\n", encoding="ascii")
        (etc / "hosts").write_text(
            f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
            f"{self.launch.private_address} {full} {name}\n",
            encoding="ascii",
        )
        seed = self.root / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True)
        seed.chmod(0o700)
        _write_private(seed / "user-data", self.launch.user_data or _EMPTY_USER_DATA)
        meta = {
            "instance-id": self.launch.instance_id,
            "local-hostname": full,
            "public-keys": list(self.launch.public_keys),
        }
        _write_private(seed / "meta-data", json.dumps(meta).encode())

    def boot(self, launch):
        """Starts the system. Returns when its first process runs; `wait_reachable` waits for the rest."""
        self.launch = launch
        self._mount()
        self._connect()
        self._leader = None
        ready = self.folder / "notify"
        ready.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices, open(self._log, "ab") as log:
            notices.bind(str(ready))
            notices.settimeout(0.5)
            groups = [folder / self.launch.instance_id for folder in system.own_control_groups()]
            for group in groups:
                group.mkdir(parents=True, exist_ok=True)
            # The shell puts itself into the control groups, and becomes the host.
            enter = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'
            command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={self.root}"]
            command += [f"--machine={self.launch.instance_id}", f"--network-namespace-path={self._namespace_path()}"]
            command += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--boot"]
            self.ended.clear()
            self._process = subprocess.Popen(
                ["sh", "-c", enter, "host", *map(str, groups), "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(ready)},
            )
            self._await_leader(notices)

    def _await_leader(self, notices):
        begun = time.monotonic()
        while self._leader is None:
            if self._process.poll() is not None or time.monotonic() - begun > 60:
                self._end_process()
                text = self._log.read_text(encoding="utf-8", errors="replace")[-1500:]
                raise system.Failed(f"the host did not start; its console ends:\n{text}")
            try:
                notice = notices.recv(4096).decode()
            except TimeoutError:
                continue
            for line in notice.splitlines():
                if line.startswith("X_NSPAWN_LEADER_PID="):
                    self._leader = int(line.partition("=")[2])

    def wait_reachable(self):
        """Waits until the system in the host answers. False when it ended before."""
        # Made by the first process of the host when it is set up.
        sign = pathlib.Path(f"/proc/{self._leader}/root/run/systemd/notify")
        while self._process.poll() is None:
            if sign.exists():
                return True
            time.sleep(0.05)
        return False

    def wait_end(self):
        """Waits until the host has ended. True when it wants to boot again."""
        return self._process.wait() == _REBOOT

    def shut_down(self):
        """Lets the system shut itself down; ends it when it does not. The disk stays."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(SHUTDOWN)
            except subprocess.TimeoutExpired:
                self._end_process()
        self.release()

    def kill(self):
        """Ends the system at once."""
        self._end_process()
        self.release()

    def _end_process(self):
        process = self._process
        if process is None or process.poll() is not None:
            return
        if self._leader is not None:
            # With its first process everything in the host ends, and the program around it by itself.
            system.kill(self._leader)
            try:
                process.wait(5)
                return
            except subprocess.TimeoutExpired:
                pass
        process.kill()
        process.wait()

    def release(self):
        """Gives back everything but the disk."""
        with self._firewall_lock:
            self._firewall = None
            system.attempt("ip", "netns", "delete", self.namespace)
        # With the namespace the kernel removes the link too, but later.
        system.attempt("ip", "link", "delete", self._link)
        for folder in system.own_control_groups():
            system.remove_control_group(folder / self.launch.instance_id)
        release_nspawn(self.launch.instance_id, self.root)
        system.unmount(self.root)

    def remove(self):
        """Removes the disk, after what apt has fetched is put by for the next host."""
        self._keep_packages()
        shutil.rmtree(self.folder, ignore_errors=True)

    def set_firewall(self, rules):
        """Puts packet filter rules in force, where they are new and the host has its network."""
        with self._firewall_lock:
            if self._firewall is not None and self._firewall != rules:
                system.run("ip", "netns", "exec", self.namespace, "iptables-restore", stdin=rules)
                self._firewall = rules

    def _mount(self):
        if os.path.ismount(self.root):
            return
        layers = f"lowerdir={self._image},upperdir={self.folder}/upper,workdir={self.folder}/work"
        # No disk outlives the sandbox, so that nothing is gained by waiting for writes; the mark that a mount
        # of this kind leaves would keep it from being mounted again. Kernels before 5.10 do not have it.
        shutil.rmtree(self.folder / "work/work/incompat", ignore_errors=True)
        if not system.attempt("mount", "-t", "overlay", "overlay", "-o", f"{layers},volatile", self.root):
            system.run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def _connect(self):
        private, public = self.launch.private_address, self.launch.public_address
        prefix = network.VPC.prefixlen
        system.attempt("ip", "netns", "delete", self.namespace)
        system.attempt("ip", "link", "delete", self._link)
        system.run("ip", "netns", "add", self.namespace)
        lines = [
            f"link add {self._link} type veth peer name eth0 address {network.mac_of(private)} netns {self.namespace}",
            f"link set {self._link} master {BRIDGE} up",
        ]
        system.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")
        # The rules come before the link is up, so that nothing slips through. There is no default route.
        inside = "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6 2>/dev/null; exec iptables-restore"
        with self._firewall_lock:
            system.run("ip", "netns", "exec", self.namespace, "sh", "-c", inside, stdin=self.launch.firewall)
            self._firewall = self.launch.firewall
        lines = [f"address add {private}/{prefix} dev eth0"]
        if public:
            lines.append(f"address add {public}/{prefix} dev eth0")
        lines += ["link set lo up", "link set eth0 up"]
        system.run("ip", "-netns", self.namespace, "-batch", "-", stdin="\n".join(lines) + "\n")

    def _namespace_path(self):
        return f"/run/netns/{self.namespace}"

    def _lend_packages(self, upper):
        archives = upper / "var/cache/apt/archives"
        archives.mkdir(parents=True)
        for package in self._packages.glob("*.deb"):
            os.link(package, archives / package.name)

    def _keep_packages(self):
        for package in (self.folder / "upper/var/cache/apt/archives").glob("*.deb"):
            kept = self._packages / package.name
            if not kept.exists() and package.is_file() and not package.is_symlink():
                # apt moves a package here when it is whole.
                os.link(package, kept)


def release_nspawn(instance_id, root):
    """What systemd-nspawn leaves when it is killed."""
    runtime = pathlib.Path("/run/systemd/nspawn")
    with contextlib.suppress(OSError):
        found = os.stat(root)
        (runtime / f"locks/inode-{found.st_dev}:{found.st_ino}").unlink(missing_ok=True)
    for left in (runtime / "propagate" / instance_id, runtime / "unix-export" / instance_id):
        if left.exists():
            system.attempt("umount", "--lazy", left)
            shutil.rmtree(left, ignore_errors=True)


def _write_private(path, content):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
