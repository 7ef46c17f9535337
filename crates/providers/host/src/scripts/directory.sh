# In: path owner group mode parents overwrite token(empty: an update). Out: created yes|no
if [ -L "$path" ] || { [ -e "$path" ] && [ ! -d "$path" ]; }; then
  echo "$path exists and is no directory" >&2
  exit 18
fi
stamp=/var/lib/stack/attempt-$token
created=no
if [ -n "$token" ]; then
  if [ -e "$stamp" ]; then
    read -r created <"$stamp"
  else
    if [ -d "$path" ]; then
      if [ "$overwrite" != true ]; then exit 17; fi
    else
      created=yes
    fi
    stamp_folder
    echo "$created" >"$stamp" || exit 1
  fi
fi
if [ ! -d "$path" ]; then
  if [ "$parents" = true ]; then mkdir -p -- "${path%/*}/"; fi || exit 1
  # Nobody may look into it before its mode is set.
  (umask 077 && mkdir -- "$path") || exit 1
fi
chown "$owner:$group" -- "$path" || exit 20
chmod "$mode" -- "$path" || exit 1
echo "created $created"
