# Puts a unit back as it was found. In: name was_enabled was_running record(empty: there is none)
if [ "$(systemctl show -p LoadState --value -- "$name")" = loaded ]; then
  if [ "$was_running" = false ]; then systemctl stop -- "$name" >&2 || exit 24; fi
  if [ "$was_enabled" = false ]; then
    case $(systemctl show -p UnitFileState --value -- "$name") in
      enabled | enabled-runtime) systemctl disable --quiet -- "$name" >&2 || exit 1 ;;
    esac
  fi
fi
if [ -n "$record" ]; then rm -f "/var/lib/stack/record-$record"; fi
