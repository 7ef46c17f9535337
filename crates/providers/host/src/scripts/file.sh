# In: path content(base64) owner group mode directory_mode overwrite token(empty: an update)
folder=${path%/*}
[ -n "$folder" ] || folder=/
if [ -d "$path" ] && [ ! -L "$path" ]; then
  echo "$path is a directory" >&2
  exit 18
fi
stamp=/var/lib/stack/attempt-$token
if [ -n "$token" ] && [ "$overwrite" != true ] && [ ! -e "$stamp" ]; then
  if [ -e "$path" ] || [ -L "$path" ]; then exit 17; fi
  stamp_folder
  printf 'file\n' >"$stamp" || exit 1
fi
if [ ! -d "$folder" ]; then
  if [ -z "$directory_mode" ]; then
    echo "the directory $folder does not exist; make it with a host_directory, or set directory_mode" >&2
    exit 19
  fi
  missing=$folder
  made=
  while [ ! -d "$missing" ]; do
    made="$missing
$made"
    missing=${missing%/*}
    [ -n "$missing" ] || missing=/
  done
  mkdir -p -- "$folder" || exit 1
  printf '%s' "$made" | while IFS= read -r each; do
    chown "$owner:$group" -- "$each" && chmod "$directory_mode" -- "$each" || exit 1
  done || exit 1
fi
umask 077
temporary=$(mktemp "$folder/.stack.XXXXXXXX") || exit 1
trap 'rm -f "$temporary"' EXIT
trap 'exit 1' HUP INT TERM
printf %s "$content" | base64 -d >"$temporary" || exit 1
chown "$owner:$group" -- "$temporary" || exit 20
chmod "$mode" -- "$temporary" || exit 1
sync -- "$temporary" 2>/dev/null
mv -fT -- "$temporary" "$path" || exit 1
trap - EXIT
