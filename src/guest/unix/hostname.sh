# Gives the guest its name, now and after each boot. For root; POSIX sh. Twice does no harm.
#
# From what stands before: name, conf (a directory in whose place the root is, for tests).
fail() {
	echo "$*" >&2
	exit 1
}
# A file that can't be written in place is replaced by a copy.
writable() {
	[ ! -f "$1" ] || { true >>"$1"; } 2>/dev/null || { cp "$1" "$1.vmwbuild-copy" && mv -f "$1.vmwbuild-copy" "$1"; }
}
# Written in place: the file may be mounted there.
replace() {
	writable "$1"
	cat "$1.vmwbuild" >"$1" || fail "can't write $1"
	rm -f "$1.vmwbuild"
}
short=${name%%.*}
[ -s "$conf/etc/hosts" ] || echo "127.0.0.1 localhost" >"$conf/etc/hosts" || fail "can't write /etc/hosts"
{
	awk '$1 != "127.0.1.1"' <"$conf/etc/hosts"
	if [ "$short" = "$name" ]; then
		echo "127.0.1.1 $name"
	else
		echo "127.0.1.1 $name $short"
	fi
} >"$conf/etc/hosts.vmwbuild" || fail "can't write below /etc"
replace "$conf/etc/hosts"
if [ -f "$conf/etc/sysconfig/network" ] && grep -q '^HOSTNAME=' "$conf/etc/sysconfig/network"; then
	sed "s/^HOSTNAME=.*/HOSTNAME=$name/" <"$conf/etc/sysconfig/network" >"$conf/etc/sysconfig/network.vmwbuild"
	replace "$conf/etc/sysconfig/network"
fi
if [ -n "$conf" ] || ! hostnamectl set-hostname "$name" 2>/dev/null; then
	writable "$conf/etc/hostname"
	echo "$name" >"$conf/etc/hostname" || fail "can't write /etc/hostname"
	if [ -z "$conf" ] && ! hostname "$name" 2>/dev/null; then
		echo "the name holds from the next boot: the guest doesn't let it be changed while it runs" >&2
	fi
fi
[ "$(cat "$conf/etc/hostname" 2>/dev/null)" = "$name" ] || [ "$(hostname 2>/dev/null)" = "$name" ] || fail "the guest did not take the name"
