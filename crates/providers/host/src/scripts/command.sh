# In: stack_token(empty: no record) stack_command stack_input stack_directory stack_creates stack_unless stack_keep
# Out: output BASE64 when stack_keep is true, skipped yes
record=/var/lib/stack/record-$stack_token
if [ -n "$stack_token" ] && [ -e "$record" ]; then
  cat "$record"
  exit 0
fi
stack_record() {
  if [ -n "$stack_token" ]; then write_record "$1"; fi
  printf '%s\n' "$1"
}
if [ "$(probe_command "$stack_creates" "$stack_unless")" = "done yes" ]; then
  stack_record "skipped yes"
  exit 0
fi
if ! cd -- "$stack_directory"; then exit 25; fi
stack_output=$(umask 077 && mktemp /run/stack.XXXXXXXX) || exit 1
trap 'rm -f "$stack_output"' EXIT
trap 'exit 1' HUP INT TERM
printf %s "$stack_input" | (
  unset LC_ALL
  trap - EXIT HUP INT TERM
  set -e
  eval "$stack_command"
) >"$stack_output"
stack_status=$?
if [ "$stack_status" -ne 0 ]; then
  echo "exit status $stack_status" >&2
  exit 26
fi
if [ "$stack_keep" = true ]; then
  stack_record "output $(head -c 65536 "$stack_output" | base64 -w0)"
else
  stack_record "output"
fi
