# Waits a while for the first boot to end and says how far it got.
tries=0
if command -v cloud-init >/dev/null 2>&1 && [ ! -e /run/cloud-init/disabled ] && [ ! -e /etc/cloud/cloud-init.disabled ]; then
  until [ -e /run/cloud-init/result.json ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
      echo "waiting cloud-init"
      return 0
    fi
    sleep 0.1
  done
  printf 'cloud_init %s\n' "$(base64 -w0 </run/cloud-init/result.json)"
fi
if [ -d /run/systemd/system ]; then
  while :; do
    case $(systemctl is-system-running 2>/dev/null) in
      running | degraded) break ;;
    esac
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
      echo "waiting systemd"
      return 0
    fi
    sleep 0.1
  done
fi
echo "ready yes"
probe_facts
