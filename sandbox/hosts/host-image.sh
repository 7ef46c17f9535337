#!/usr/bin/env bash
# Makes the machine image that hosts boot from: Debian 12 with systemd, cloud-init, OpenSSH and sudo, set up as
# a cloud image is. host-image.sh FOLDER PROXY [SOURCES]
#   FOLDER   where the image goes; must not exist; appears only when the image is complete
#   PROXY    the proxy that apt uses inside hosts (http://ADDRESS:PORT)
#   SOURCES  a file with the lines of a sources.list; without it, the bootstrap program's own default
set -euo pipefail
folder=$1 proxy=$2 sources=${3:-}
[ -e "$folder" ] && exit 0
work=$folder.new
rm -rf --one-file-system "$work"
trap 'rm -rf --one-file-system "$work"' EXIT

# What a cloud image has and the tools expect, and no more: it is on the path of every boot.
packages=ca-certificates,cloud-init,curl,dbus,hostname,iproute2,iputils-ping,less,lsb-release,netbase,openssh-server,openssl,procps,python3,sudo,systemd,systemd-sysv,apt-utils,gnupg

# The package lists stay: the first `apt-get update` in a host then asks only whether they are current.
mmdebstrap --quiet --variant=minbase --skip=cleanup/apt/lists --include="$packages" \
  --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/locale/*/LC_MESSAGES/*' \
  bookworm "$work" ${sources:+-} < "${sources:-/dev/null}"

# Restrictions of the bootstrap are not those of the hosts.
rm -f "$work"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
cat > "$work/etc/apt/apt.conf.d/90sandbox" <<APT
Acquire::http::Proxy "$proxy";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Keep-Downloaded-Packages "true";
APT
rm -f "$work/etc/apt/apt.conf.d/99mmdebstrap"

cat > "$work/etc/cloud/cloud.cfg.d/90_sandbox.cfg" <<'CLOUD'
datasource_list: [ NoCloud ]
network: {config: disabled}
locale: false
manage_etc_hosts: false
disable_root: true
ssh_genkeytypes: [ed25519, ecdsa]
apt: {preserve_sources_list: true}
system_info:
  default_user: {name: ubuntu, gecos: Ubuntu, lock_passwd: true, groups: [adm, sudo], sudo: ["ALL=(ALL) NOPASSWD:ALL"], shell: /bin/bash}
# The modules that make sense on a machine without disks, network set-up and registration of its own.
cloud_init_modules: [bootcmd, write-files, set_hostname, update_hostname, ca-certs, users-groups, ssh]
cloud_config_modules: [set-passwords, apt-configure, timezone, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, final-message, power-state-change]
CLOUD

# As cloud images have it. Left to cloud-init, sshd would be restarted under the first connections.
echo 'PasswordAuthentication no' > "$work/etc/ssh/sshd_config.d/60-cloudimg-settings.conf"

# The journal lives as long as the boot: no disk outlives the sandbox.
mkdir -p "$work/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' > "$work/etc/systemd/journald.conf.d/sandbox.conf"

# Nothing here runs by the clock, has a console, or sets up links.
chroot "$work" systemctl --quiet mask \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  console-getty.service getty.target systemd-networkd.service systemd-networkd-wait-online.service \
  systemd-timesyncd.service cloud-init-hotplugd.socket
chroot "$work" systemctl --quiet enable ssh cloud-init-local cloud-init cloud-config cloud-final

# Every host makes these anew.
rm -f "$work"/etc/ssh/ssh_host_* "$work"/etc/hostname "$work"/etc/resolv.conf
: > "$work/etc/machine-id"
: > "$work/etc/resolv.conf"

trap - EXIT
mv "$work" "$folder"
