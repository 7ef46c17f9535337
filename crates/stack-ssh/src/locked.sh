# Runs stack_body under the lock of the host. What it writes is sent when it has ended: were it sent at once, the first
# line after a lost connection would end the script half way.
exec 9>>/run/lock/stack.lock || exit 75
flock -w "$stack_wait" 9 || exit 75
stack_output=$(umask 077 && { mktemp /run/stack.XXXXXXXX 2>/dev/null || mktemp; }) || exit 1
exec 7<>"$stack_output" || exit 1
rm -f "$stack_output"
stack_output=$(umask 077 && { mktemp /run/stack.XXXXXXXX 2>/dev/null || mktemp; }) || exit 1
exec 8<>"$stack_output" || exit 1
rm -f "$stack_output"
(stack_body) </dev/null >&7 2>&8 7>&- 8>&- 9>&-
stack_status=$?
cat /proc/self/fd/7
cat /proc/self/fd/8 >&2
exit "$stack_status"
