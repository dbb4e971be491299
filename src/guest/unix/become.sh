umask 077
unset SUDO_ASKPASS
[ "${LC_ALL-}" != C ] || unset LC_ALL
d=
for r in "$HOME" /var/tmp /tmp; do
	if [ -n "$r" ] && mkdir "$r/$n" 2>/dev/null; then
		d=$r/$n
		break
	fi
done
if [ -z "$d" ]; then
	cat >/dev/null
	echo "no private directory can be made below $HOME, /var/tmp or /tmp" >&2
	exit 126
fi
trap 'rm -rf "$d"; exit 143' TERM
cat >"$d/l"
VMWBUILD_JOB=$k
export VMWBUILD_JOB
"$s" "$d/l" "$d" "$l" "$e" "" </dev/null
r=$?
rm -rf "$d"
exit "$r"
