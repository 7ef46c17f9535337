# What is kept on the machine, in /var/lib/stack. Attempts (attempt-TOKEN) say which create attempt made a file, so that
# a repeated one is not taken for a stranger's; they are of no use after a while. Records (record-TOKEN) belong to what
# has no place of its own on the machine, and go with it.
stamp_folder() {
  mkdir -p -m 0700 /var/lib/stack || exit 1
  find /var/lib/stack -maxdepth 1 -type f -name 'attempt-*' -mtime +30 -delete 2>/dev/null
}

# write_record CONTENTS: at once and as a whole.
write_record() {
  stamp_folder
  (umask 077 && printf '%s\n' "$1" >"$record.new" && mv -f "$record.new" "$record") || exit 1
}
