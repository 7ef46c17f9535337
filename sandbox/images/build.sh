#!/bin/bash
# build.sh IMAGE OUT.tar   makes the archive of one container image from programs of this machine.
# Environment: PROGRAMS  folder of the built programs that the image is made of
#              ENVOY     Envoy (proxyv2)
set -euo pipefail
IMAGE=$1 OUT=$2
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(mktemp -d "$OUT.root.XXXXXX")
trap 'rm -rf "$ROOT"' EXIT
chmod 755 "$ROOT"

# put PATH [AS]: copies a file of this machine and the libraries that it is linked with
put() {
  local as=${2:-$1} library
  mkdir -p "$ROOT$(dirname "$as")"
  cp -L "$1" "$ROOT$as"
  { ldd "$(readlink -f "$1")" 2>/dev/null || true; } |
    sed -n 's#.*=> \(/[^ ]*\).*#\1#p; s#^[[:space:]]*\(/lib64/[^ ]*\).*#\1#p' |
    while read -r library; do
      [ -e "$ROOT$library" ] || { mkdir -p "$ROOT$(dirname "$library")"; cp -L "$library" "$ROOT$library"; }
    done
}

# accounts NAME ID: the files by which a program finds users and names
accounts() {
  mkdir -p "$ROOT/etc" "$ROOT/tmp"
  chmod 1777 "$ROOT/tmp"
  printf 'root:x:0:0::/:/bin/sh\n%s:x:%s:%s::/:/bin/sh\n' "$1" "$2" "$2" > "$ROOT/etc/passwd"
  printf 'root:x:0:\n%s:x:%s:\n' "$1" "$2" > "$ROOT/etc/group"
  printf 'hosts: files dns\n' > "$ROOT/etc/nsswitch.conf"
}

tools() {
  local program library
  accounts client 65532
  for program in bash cat curl cut date env getent grep head id ls openssl sed sleep timeout tr; do
    put "$(command -v $program)" /usr/bin/$program
  done
  ln -s bash "$ROOT/usr/bin/sh"
  [ -e "$ROOT/bin" ] || ln -s usr/bin "$ROOT/bin"
  for library in /lib/x86_64-linux-gnu/libnss_dns.so.2 /lib/x86_64-linux-gnu/libnss_files.so.2; do
    [ ! -e $library ] || put $library
  done
  mkdir -p "$ROOT/etc/ssl"
  [ ! -e /etc/ssl/openssl.cnf ] || cp -L /etc/ssl/openssl.cnf "$ROOT/etc/ssl/"
}

proxy() {
  local multi name
  accounts istio-proxy 1337
  mkdir -p "$ROOT/etc/istio/proxy" "$ROOT/var/lib/istio/envoy" "$ROOT/var/run" "$ROOT/run" "$ROOT/usr/lib/x86_64-linux-gnu"
  chmod 777 "$ROOT/etc/istio/proxy"
  put "$PROGRAMS/pilot-agent" /usr/local/bin/pilot-agent
  put "$ENVOY" /usr/local/bin/envoy
  cp "$PROGRAMS/envoy_bootstrap.json" "$ROOT/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"
  multi=$(readlink -f /usr/sbin/iptables-nft)
  put "$multi" /usr/sbin/xtables-nft-multi
  for name in iptables ip6tables; do
    for name in $name $name-save $name-restore $name-nft $name-nft-save $name-nft-restore; do
      ln -s xtables-nft-multi "$ROOT/usr/sbin/$name"
    done
  done
  cp -r /usr/lib/x86_64-linux-gnu/xtables "$ROOT/usr/lib/x86_64-linux-gnu/"
}

image() { python3 "$HERE/mkimage.py" "$OUT" "$1" "$ROOT" "${@:2}"; }

case $IMAGE in
  pause)
    put "$PROGRAMS/pause" /pause
    image sandbox.local/pause:1 'entrypoint=["/pause"]' user=65535 ;;
  coredns)
    put "$PROGRAMS/coredns" /coredns
    image sandbox.local/coredns:1 'entrypoint=["/coredns"]' user=65532 ;;
  tools)
    tools
    image sandbox.local/tools:1 'cmd=["/usr/bin/bash"]' ;;
  client)
    tools
    put "$PROGRAMS/client" /usr/local/bin/client
    image sandbox.local/client:1 'entrypoint=["/usr/local/bin/client"]' user=65532 workdir=/tmp ;;
  pilot)
    accounts istio-proxy 1337
    put "$PROGRAMS/pilot-discovery" /usr/local/bin/pilot-discovery
    image sandbox.local/istio/pilot:1.31.0 'entrypoint=["/usr/local/bin/pilot-discovery"]' user=1337 workdir=/ ;;
  proxyv2)
    proxy
    image sandbox.local/istio/proxyv2:1.31.0 'entrypoint=["/usr/local/bin/pilot-agent"]' user=1337 workdir=/ ;;
  *) echo "no image $IMAGE" >&2; exit 64 ;;
esac
