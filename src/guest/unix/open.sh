# Looks what the guest has, makes the work directory and puts the supervisor there. What is found is told by the names
# of files in a directory of random name, since nobody knows yet where the work directory can be: hexadecimal text.
#
# Asked for a BATCH of another process, it finds out how that stands; what has not begun, it keeps from ever beginning.
#
# From what stands before: NONCE NAME home (may be empty) bootid; BATCH and where that process worked: KNOWN OLD (or all
# empty); @RUN@ is the supervisor.
umask 077
has() {
	command -v "$1" >/dev/null 2>&1
}
meet=/tmp/.vmwbuild-$NONCE
mkdir "$meet" || exit 0
if [ ! -d "$home" ]; then
	home=$HOME
fi
# mine DIR: one that somebody else has put there is not ours.
mine() {
	[ -d "$1" ] && [ -n "$(find "$1" -prune -type d -user "$(id -u)" 2>/dev/null)" ]
}
fresh=old
work=
if [ -n "$KNOWN" ] && mine "$KNOWN"; then
	work=$KNOWN
else
	for dir in "$home" /var/lib /var/tmp; do
		if [ -d "$dir" ]; then
			work=${dir%/}/.vmwbuild-$NAME
			mkdir "$work" 2>/dev/null && fresh=fresh && break
			# It is there after a restart.
			mine "$work" && break
			work=
		fi
	done
fi
if [ -n "$work" ]; then
	# Where there is one already, somebody may be reading it.
	run=run
	[ -f "$work/run" ] && run=run.$NONCE
	cat >"$work/$run" <<'RUN'
@RUN@
RUN
	[ "$run" = run ] || mv "$work/$run" "$work/run"
fi
enc=hex
dec=none
# 60 bytes are longer than a line that is broken.
case $(echo 0123456789abcdef0123456789abcdef0123456789abcdef0123456789a | base64 2>/dev/null) in
MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWEK) enc=fold ;;
MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4*OWEK) enc=base64 ;;
esac
if [ "$enc" != hex ]; then
	if [ "$(echo aGkK | base64 -d 2>/dev/null)" = hi ]; then
		dec=base64
	fi
elif has openssl && [ "$(echo hi | openssl base64 2>/dev/null)" = aGkK ]; then
	enc=openssl
fi
if [ "$dec" = none ] && has openssl && [ "$(echo aGkK | openssl base64 -d -A 2>/dev/null)" = hi ]; then
	dec=openssl
fi
tick=1
sleep 0.001 2>/dev/null && tick=0.25
lang=C
if [ -d /usr/lib/locale/C.utf8 ] || ! has locale || [ "$(LC_ALL=C.UTF-8 locale charmap 2>/dev/null)" = UTF-8 ]; then
	lang=C.UTF-8
fi
if ! read -r os line </proc/version; then
	os=$(uname -s)
fi 2>/dev/null
bootid
batch=
began=
if [ -n "$BATCH" ] && [ -n "$work" ]; then
	rm -rf "$OLD"
	cd "$work"
	if mkdir "b$BATCH" 2>/dev/null; then
		rm -f "in.$BATCH" "in.$BATCH".*
		# Should the one who prepared it look after all: it was ended.
		mkdir "b$BATCH/s0"
		true >"b$BATCH/s0/dead.k0.0"
		echo "$fresh" >"b$BATCH/void"
	fi
	# Whoever made it says so next.
	n=0
	until [ -s "b$BATCH/boot" ] || [ -s "b$BATCH/void" ] || [ "$n" -ge 40 ]; do
		sleep "$tick"
		n=$((n + 1))
	done
	if [ -s "b$BATCH/void" ]; then
		read -r batch <"b$BATCH/void"
	else
		batch=begun
		read -r began <"b$BATCH/boot"
	fi
fi
tools=
for tool in setsid tar sha256sum runuser su sudo doas; do
	has "$tool" && tools="$tools $tool"
done
n=0
while read -r line; do
	true >"$meet/$n.$line"
	n=$((n + 1))
done <<X
$(echo "uid=$(id -u)
os=$os
home=$home
work=$work
enc=$enc
dec=$dec
tick=$tick
lang=$lang
boot=$boot
batch=$batch
began=$began
tools=$tools" | od -An -v -tx1 | tr -d ' \n' | fold -w 200)
X
true >"$meet/$n.z"
