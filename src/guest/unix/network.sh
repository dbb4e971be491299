# Gives an interface its address, now and after each boot. For root on Linux; POSIX sh. Twice does no harm.
#
# From what stands before: method (auto nmcli netplan ifupdown), dev (may be empty), nic (from 1), family (4 6, or dhcp),
# address prefix netmask gateway, dns4 dns6 search (words), conf (a directory in whose place the root is, for tests).
fail() {
	echo "$*" >&2
	exit 1
}
has() {
	command -v "$1" >/dev/null 2>&1
}

# The interface: by name, or the nic-th of those with hardware, in the order in which the kernel numbered them. Where
# /sys doesn't tell, /proc does.
names() {
	sed -n 's/^ *\([^: ]*\):.*/\1/p' /proc/net/dev
}
if [ -z "$dev" ] && [ ! -d /sys/class/net/lo ]; then
	dev=$(names | grep -vx lo | sed -n "${nic}p")
elif [ -z "$dev" ]; then
	for only in device ifindex; do
		dev=$(
			for d in /sys/class/net/*; do
				[ "${d##*/}" != lo ] && [ -e "$d/$only" ] && echo "$(cat "$d/ifindex") ${d##*/}"
			done | sort -n | sed -n "${nic}s/^[0-9]* //p"
		)
		[ -n "$dev" ] && break
	done
fi
[ -n "$dev" ] || fail "the guest has no network interface number $nic; it has:" $(names)
names | grep -qxF -- "$dev" || fail "the guest has no network interface $dev; it has:" $(names)

# A fifth of a second where sleep can, which POSIX doesn't ask for, else a whole one. Counts fifths in n.
pause() {
	n=$((n + 1))
	sleep 0.2 2>/dev/null || {
		sleep 1
		n=$((n + 4))
	}
}

# NetworkManager may be on its way up.
manager() {
	has nmcli || return 1
	n=0
	until [ "$(nmcli -t -f RUNNING general 2>/dev/null)" = running ]; do
		[ "$n" -lt $(($1 * 5)) ] || return 1
		pause
	done
}
if [ "$method" = auto ]; then
	if manager 1 || { [ -d /run/systemd/system ] && has systemctl && systemctl is-enabled --quiet NetworkManager 2>/dev/null && manager 30; }; then
		method=nmcli
	elif has netplan && [ -d "$conf/etc/netplan" ]; then
		method=netplan
	elif has ifup && [ -f "$conf/etc/network/interfaces" ]; then
		method=ifupdown
	else
		fail "the guest has none of NetworkManager (running, with nmcli), netplan and ifupdown: its template needs one of them"
	fi
fi

# A file that can't be written in place is replaced by a copy.
writable() {
	[ ! -f "$1" ] || { true >>"$1"; } 2>/dev/null || { cp "$1" "$1.vmwbuild-copy" && mv -f "$1.vmwbuild-copy" "$1"; }
}
# Replaces a file's content and leaves the file itself, which may be mounted there.
filter() {
	file=$1
	shift
	"$@" <"$file" >"$file.vmwbuild" || fail "can't edit $file"
	cmp -s "$file" "$file.vmwbuild" || {
		cp "$file.vmwbuild" "$file" 2>/dev/null || mv -f "$file.vmwbuild" "$file" || fail "can't write $file"
	}
	rm -f "$file.vmwbuild"
}

use_nmcli() {
	# It isn't about to run where there is no bus to speak on.
	[ -S /run/dbus/system_bus_socket ] && patience=30 || patience=2
	manager "$patience" || fail "the guest has no NetworkManager that runs, or no nmcli: --method=auto takes what there is"
	con=vmwbuild-$dev
	nmcli -t connection show "$con" >/dev/null 2>&1 ||
		nmcli connection add type ethernet con-name "$con" ifname "$dev" >/dev/null || fail "nmcli can't add $con"
	set -- connection.interface-name "$dev" connection.autoconnect yes connection.autoconnect-priority 100
	set -- "$@" ipv4.dns "$dns4" ipv4.dns-search "$search" ipv6.dns "$dns6" ipv6.dns-search "$search"
	case $family in
	4) set -- "$@" ipv4.method manual ipv4.addresses "$address/$prefix" ipv4.gateway "$gateway" ;;
	*) set -- "$@" ipv4.method auto ipv4.addresses '' ipv4.gateway '' ;;
	esac
	case $family in
	6) set -- "$@" ipv6.method manual ipv6.addresses "$address/$prefix" ipv6.gateway "$gateway" ;;
	*) set -- "$@" ipv6.method auto ipv6.addresses '' ipv6.gateway '' ;;
	esac
	nmcli connection modify "$con" "$@" || fail "nmcli can't change $con"
	nmcli --wait 60 connection up "$con" >/dev/null || fail "nmcli can't bring $con up"
}

use_netplan() {
	has netplan || fail "the guest has no command netplan: --method=auto takes what there is"
	# Later files override values, but lists of addresses are joined.
	for file in "$conf"/etc/netplan/*.yaml; do
		[ "$file" = "$conf/etc/netplan/99-vmwbuild-$dev.yaml" ] && continue
		if grep -q "^ *$dev:" "$file" 2>/dev/null && grep -q '^ *addresses:' "$file"; then
			mv "$file" "$file.vmwbuild-saved"
			echo "$file has an address for $dev too: moved to $file.vmwbuild-saved" >&2
		fi
	done
	(
		umask 077
		echo "network:"
		echo "  version: 2"
		echo "  ethernets:"
		echo "    $dev:"
		case $family in
		dhcp) echo "      dhcp4: true" ;;
		*)
			echo "      dhcp4: false"
			echo "      addresses: [\"$address/$prefix\"]"
			# Old versions don't know the word "default".
			[ "$family" = 4 ] && to=0.0.0.0/0 || to=::/0
			[ -n "$gateway" ] && echo "      routes: [{to: \"$to\", via: \"$gateway\"}]"
			;;
		esac
		if [ -n "$dns4$dns6$search" ]; then
			echo "      nameservers:"
			list addresses $dns4 $dns6
			list search $search
		fi
	) >"$conf/etc/netplan/.vmwbuild" || fail "can't write below /etc/netplan"
	chmod 600 "$conf/etc/netplan/.vmwbuild"
	mv "$conf/etc/netplan/.vmwbuild" "$conf/etc/netplan/99-vmwbuild-$dev.yaml"
	# What nobody manages any longer would stay beside it.
	if has ip; then
		ip addr flush dev "$dev" scope global 2>/dev/null
	fi
	netplan apply || fail "netplan can't apply the change"
}
list() {
	[ $# -gt 1 ] || return 0
	line=
	name=$1
	shift
	for word; do
		line="$line${line:+, }\"$word\""
	done
	echo "        $name: [$line]"
}

use_ifupdown() {
	has ifup || fail "the guest has no command ifup: --method=auto takes what there is"
	ifdown --force "$dev" >/dev/null 2>&1 || ifdown -f "$dev" >/dev/null 2>&1
	for file in "$conf/etc/network/interfaces" "$conf"/etc/network/interfaces.d/*; do
		[ -f "$file" ] && filter "$file" awk -v "dev=$dev" '
			/^[ \t]*#/ { if (!skip) print; next }
			$1 == "auto" || $1 ~ /^allow-/ {
				skip = 0; out = $1; n = 0
				for (i = 2; i <= NF; i++) if ($i != dev) { out = out " " $i; n++ }
				if (n == NF - 1) print; else if (n) print out
				next
			}
			$1 == "iface" { skip = ($2 == dev) }
			$1 == "mapping" || $1 ~ /^source/ || $1 == "no-auto-down" || $1 == "no-scripts" { skip = 0 }
			!skip'
	done
	writable "$conf/etc/network/interfaces"
	{
		echo "auto $dev"
		case $family in
		dhcp) echo "iface $dev inet dhcp" ;;
		*)
			[ "$family" = 4 ] && echo "iface $dev inet static" || echo "iface $dev inet6 static"
			echo "    address $address"
			echo "    netmask $netmask"
			[ -n "$gateway" ] && echo "    gateway $gateway"
			;;
		esac
		[ -n "$dns4$dns6" ] && echo "    dns-nameservers" $dns4 $dns6
		[ -z "$search" ] || echo "    dns-search $search"
	} >>"$conf/etc/network/interfaces" || fail "can't write /etc/network/interfaces"
	# Those lines are resolvconf's. Without it nobody else writes the file.
	if [ -n "$dns4$dns6" ] && ! has resolvconf && [ ! -h "$conf/etc/resolv.conf" ]; then
		writable "$conf/etc/resolv.conf"
		{
			for word in $dns4 $dns6; do
				echo "nameserver $word"
			done
			[ -n "$search" ] && echo "search $search"
		} >"$conf/etc/resolv.conf"
	fi
	if has ip; then
		ip addr flush dev "$dev" 2>/dev/null
	fi
	ifup "$dev" || fail "ifup can't bring $dev up"
}

use_$method

# Seen on the interface?
seen() {
	if has ip; then
		case $family in
		dhcp) ip -o addr show dev "$dev" scope global | grep -q ' inet6* ' ;;
		*) ip -o addr show dev "$dev" | grep -qF " $address/$prefix " ;;
		esac
	else
		case $family in
		4) grep -qF -- "-- $address" /proc/net/fib_trie ;;
		*) return 0 ;;
		esac
	fi
}
n=0
until seen; do
	[ "$n" -lt 300 ] || fail "$dev has no such address after 60 s: $(ip -o addr show dev "$dev" 2>&1)"
	pause
done
