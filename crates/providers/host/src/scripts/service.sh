# In: name enabled running on_change changed(true: triggers changed) token(empty: an update)
# Out: was_enabled, was_running
property() { systemctl show -p "$1" --value -- "$name"; }
is_active() {
  case $(property ActiveState) in
    active | reloading) return 0 ;;
    *) return 1 ;;
  esac
}
[ "$(property NeedDaemonReload)" != yes ] || systemctl daemon-reload || exit 1
load=$(property LoadState)
if [ "$load" != loaded ]; then
  echo "the unit is $load" >&2
  exit 23
fi
unit_file=$(property UnitFileState)
case $unit_file in
  enabled | enabled-runtime) is_enabled=true ;;
  *) is_enabled=false ;;
esac
if is_active; then active=true; else active=false; fi
was="was_enabled $is_enabled
was_running $active"
if [ -n "$token" ]; then
  record=/var/lib/stack/record-$token
  if [ -e "$record" ]; then
    was=$(grep '^was_' "$record")
  else
    write_record "$was"
  fi
fi
echo "$was"
case $enabled:$unit_file in
  true:disabled) systemctl enable --quiet -- "$name" >&2 || exit 1 ;;
  false:enabled | false:enabled-runtime) systemctl disable --quiet -- "$name" >&2 || exit 1 ;;
esac
if [ "$running" = true ]; then
  if [ "$active" = false ]; then
    systemctl reset-failed -- "$name" 2>/dev/null
    systemctl start -- "$name" >&2 || failed=yes
  elif [ "$changed" = true ] && [ "$on_change" = reload ]; then
    systemctl reload-or-restart -- "$name" >&2 || failed=yes
  elif [ "$changed" = true ]; then
    systemctl restart -- "$name" >&2 || failed=yes
  fi
  if [ "${failed-no}" = no ]; then
    # A simple service counts as started before it has done anything.
    if [ "$(property Type)" = simple ]; then sleep 0.3; fi
    tries=0
    while [ "$(property ActiveState)" = activating ] && [ "$tries" -lt 300 ]; do
      tries=$((tries + 1))
      sleep 0.1
    done
  fi
  if [ "${failed-no}" = yes ] || ! is_active; then
    echo "it is $(property ActiveState) (result $(property Result), exit status $(property ExecMainStatus))" >&2
    exit 24
  fi
elif [ "$active" = true ]; then
  systemctl stop -- "$name" >&2 || exit 24
fi
if [ -n "$token" ]; then
  write_record "$was
done yes"
fi
