# Stamps say which create attempt (token) owns what. Old ones are of no use to anyone.
stamp_folder() {
  mkdir -p -m 0700 /var/lib/stack || exit 1
  find /var/lib/stack -maxdepth 1 -type f -mtime +30 -delete 2>/dev/null
}
