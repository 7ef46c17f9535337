# In: "$@" names, record(empty: keep)
DEBIAN_FRONTEND=noninteractive
NEEDRESTART_SUSPEND=1
export DEBIAN_FRONTEND NEEDRESTART_SUSPEND
present=
for name in "$@"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' -- "$name" 2>/dev/null)
  case $status in
    '' | not-installed) ;;
    *) present="$present $name" ;;
  esac
done
if [ -n "$present" ]; then
  apt-get purge -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -- $present >&2 || exit 22
fi
if [ -n "$record" ]; then rm -f "/var/lib/stack/record-$record"; fi
