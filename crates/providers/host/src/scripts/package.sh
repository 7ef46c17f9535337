# In: "$@" names, update hold recommends token(empty: an update). Out: package NAME VERSION, ours NAME
DEBIAN_FRONTEND=noninteractive
APT_LISTCHANGES_FRONTEND=none
NEEDRESTART_SUSPEND=1
export DEBIAN_FRONTEND APT_LISTCHANGES_FRONTEND NEEDRESTART_SUSPEND

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' -- "$1" 2>/dev/null)" = installed ]
}

# Package names hold no character that the shell would split or expand.
missing=
for name in "$@"; do
  is_installed "$name" || missing="$missing $name"
done
ours=$missing
if [ -n "$token" ]; then
  record=/var/lib/stack/record-$token
  if [ -e "$record" ]; then
    ours=$(cat "$record")
  else
    write_record "$missing"
  fi
fi

refresh_lists() {
  tries=0
  while :; do
    said=$(apt-get update -q 2>&1)
    status=$?
    case $status:$said in
      0:*) return 0 ;;
      *'Could not get lock'* | *'Unable to lock'*) tries=$((tries + 1)) ;;
      *) tries=99 ;;
    esac
    if [ "$tries" -gt 120 ] || [ "$tries" -eq 99 ]; then
      printf '%s\n' "$said" >&2
      return 1
    fi
    sleep 1
  done
}

install_missing() {
  apt-get install -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o APT::Install-Recommends="$recommends" \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -- $missing >&2
}

policy=/usr/sbin/policy-rc.d
release_services() {
  if [ -e "$policy" ] && grep -q '^# stack: ' "$policy"; then rm -f "$policy"; fi
  if [ -e "$policy.stack" ]; then mv -f "$policy.stack" "$policy"; fi
}

if [ -n "$missing" ]; then
  trap release_services EXIT
  trap 'exit 1' HUP INT TERM
  release_services
  if [ "$hold" = true ]; then
    if [ -e "$policy" ]; then mv "$policy" "$policy.stack" || exit 1; fi
    printf '#!/bin/sh\n# stack: services wait for their files\nexit 101\n' >"$policy" || exit 1
    chmod 0755 "$policy" || exit 1
  fi
  # What an interrupted installation left half done.
  if [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ]; then dpkg --configure -a >&2; fi
  fresh=no
  if [ "$update" = true ] && [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -60 2>/dev/null | head -n 1)" ]; then
    refresh_lists || exit 21
    fresh=yes
  fi
  if ! install_missing; then
    if [ "$update" != true ] || [ "$fresh" = yes ]; then exit 22; fi
    refresh_lists || exit 21
    install_missing || exit 22
  fi
  release_services
  trap - EXIT
fi
for name in "$@"; do
  is_installed "$name" || { echo "$name is still not installed" >&2; exit 22; }
  echo "package $name $(dpkg-query -W -f '${Version}' -- "$name")"
done
for name in $ours; do echo "ours $name"; done
