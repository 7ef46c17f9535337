#!/bin/bash
# node.sh NETNS CGROUPS INIT   starts a node: INIT as the first process of namespaces of its own.
# CGROUPS is a file with the cgroup folders of the node, one a line. This process itself stays in the caller's cgroup:
# whatever ends it ends the node, since --kill-child takes the node's first process with it.
exec nsenter --net="/run/netns/$1" unshare --mount --uts --ipc --pid --fork --kill-child --mount-proc bash -c '
  while read -r group; do echo 0 > "$group/cgroup.procs" || exit 1; done < "$1"
  exec unshare --cgroup bash "$2"' node "$2" "$3"
