#!/bin/bash
# node-init.sh   the first process of the node, inside its own PID, mount, UTS, IPC, cgroup and network namespaces.
# Environment: NODE      the node's name
#              DIR       its data and its configuration: containerd/ kubelet/ cni/ containerd.toml kubelet.yaml ...
#              PROGRAMS  folder of kubelet and kube-proxy
#              LOGS      folder of the logs
#              API       URL of the API server
#              ADDRESS   the address that the node is known by
set -u
hostname "$NODE"
mount --make-rprivate /
# Copies of mounts that other parts made would keep their namespaces and disks alive after they are gone.
sed -n 's#^[^ ]* [^ ]* [^ ]* [^ ]* \([^ ]*\) .*#\1#p' /proc/self/mountinfo | grep -E '^(/run/netns(/|$)|'"${DIR%/cluster/*}"'/)' | tac |
  while read -r m; do umount -l "$m"; done
# The network namespace's own sysfs, and the cgroup namespace's own tree (version 1, as on the machine).
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for c in cpu cpuacct cpuset memory devices freezer blkio pids; do
  mkdir /sys/fs/cgroup/$c
  mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c || echo "no cgroup controller $c"
done
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd || echo "no cgroup hierarchy systemd"
# What the node writes to fixed places stays in the node.
for d in /run /var/log /var/lib/cni; do mount -t tmpfs -o mode=755 tmpfs $d; done
mkdir -p /run/lock "$DIR/kubelet" "$DIR/containerd"
mount --bind "$DIR/kubelet" /var/lib/kubelet
mount --make-rshared /
sysctl -qw net.ipv4.ip_forward=1
sysctl -qw net.bridge.bridge-nf-call-iptables=1 || true
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"

# keep NAME PROGRAM...: runs a program, and again whenever it ends
keep() {
  local name=$1
  shift
  while :; do
    "$@" >> "$LOGS/$NODE-$name.log" 2>&1
    echo "$name ended with status $?; starting it again" >> "$LOGS/$NODE-$name.log"
    sleep 1
  done
}
for name in containerd kubelet kube-proxy; do : > "$LOGS/$NODE-$name.log"; done

keep containerd containerd --config "$DIR/containerd.toml" &
# kubelet's own retries are seconds apart: start it when what it needs is there.
until ctr version >/dev/null 2>&1; do sleep 0.1; done
until curl -s -o /dev/null -f --cacert "$DIR/ca.crt" "$API/readyz"; do sleep 0.1; done
keep kubelet "$PROGRAMS/kubelet" --config="$DIR/kubelet.yaml" --kubeconfig="$DIR/kubelet.conf" \
  --hostname-override="$NODE" --node-ip="$ADDRESS" --root-dir=/var/lib/kubelet --v=2 &
keep kube-proxy "$PROGRAMS/kube-proxy" --config="$DIR/kube-proxy.yaml" --v=2 &
trap 'exit 0' TERM INT
wait
