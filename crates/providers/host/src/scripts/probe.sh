# Functions that look at one thing each and print lines of "key value". They change nothing.

# probe_path PATH KNOWN_SHA256 LIMIT: contents come along when they are not the known ones and no longer than LIMIT.
probe_path() {
  if [ -L "$1" ]; then
    echo "kind link"
    return
  elif [ -d "$1" ]; then
    echo "kind directory"
  elif [ -f "$1" ]; then
    echo "kind file"
  elif [ -e "$1" ]; then
    echo "kind other"
    return
  else
    echo "kind absent"
    return
  fi
  stat -c 'mode %a
user %U
group %G
uid %u
gid %g
size %s' -- "$1" || return
  if [ -f "$1" ]; then
    digest=$(sha256sum <"$1") || return
    digest=${digest%% *}
    echo "sha256 $digest"
    if [ "$digest" != "$2" ] && [ "$(stat -c %s -- "$1")" -le "$3" ]; then
      printf 'content %s\n' "$(base64 -w0 <"$1")"
    fi
  fi
}

# probe_packages NAME...
probe_packages() {
  for name in "$@"; do
    # A package that was never heard of is an error of dpkg-query and simply not there.
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' -- "$name" 2>/dev/null | while read -r status version; do
      if [ "$status" = installed ]; then echo "package $name $version"; fi
    done
  done
}

# probe_service NAME
probe_service() {
  systemctl show -p LoadState -p ActiveState -p UnitFileState -- "$1" | tr = ' '
}

# probe_command CREATES UNLESS
probe_command() {
  if [ -n "$1" ] && { [ -e "$1" ] || [ -L "$1" ]; }; then
    echo "done yes"
  elif [ -n "$2" ] && ( unset LC_ALL; eval "$2" ) >/dev/null 2>&1; then
    echo "done yes"
  else
    echo "done no"
  fi
}

# probe_stamp NAME: whether a change of this token got far enough to own something.
probe_stamp() {
  if [ -e "/var/lib/stack/$1" ]; then
    echo "stamp yes"
    printf 'content %s\n' "$(base64 -w0 <"/var/lib/stack/$1")"
  else
    echo "stamp no"
  fi
}

probe_facts() {
  echo "hostname $(hostname 2>/dev/null || cat /proc/sys/kernel/hostname)"
  if [ -r /etc/machine-id ]; then echo "machine_id $(cat /etc/machine-id)"; fi
  if [ -r /etc/os-release ]; then
    (
      . /etc/os-release
      echo "distribution ${ID-}"
      echo "version ${VERSION_ID-}"
      echo "codename ${VERSION_CODENAME-}"
    )
  fi
  if architecture=$(dpkg --print-architecture 2>/dev/null); then
    echo "architecture $architecture"
  else
    echo "architecture $(uname -m)"
  fi
  echo "kernel $(uname -r)"
  echo "cpus $(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)"
  echo "memory_kib $(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
}
