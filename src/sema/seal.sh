# SEAL: takes out of a guest what is one machine's own, so that a template of it can be many. For root; POSIX sh. Says
# what it did, a line each. root (a directory in whose place the root is, for tests) may stand before.
has() {
	command -v "$1" >/dev/null 2>&1
}
[ -n "$root" ] || [ "$(id -u 2>/dev/null)" = 0 ] || {
	echo "SEAL needs root: LOGIN as root, or let the LOGIN become root" >&2
	exit 1
}
bad=0
gone() {
	# What: then files, those that are there.
	what=$1
	shift
	count=0
	for file in "$@"; do
		[ -e "$file" ] || [ -L "$file" ] || continue
		if rm -rf "$file"; then
			count=$((count + 1))
		else
			bad=1
		fi
	done
	[ "$count" = 0 ] || echo "removed $what: $count"
}

# An empty file is what systemd fills at the next boot; without one it would believe in a first boot.
if [ -f "$root/etc/machine-id" ]; then
	if : >"$root/etc/machine-id"; then
		echo "emptied /etc/machine-id"
	else
		bad=1
	fi
fi
# D-Bus makes its own from the other one.
[ -L "$root/var/lib/dbus/machine-id" ] || gone "D-Bus' machine ID" "$root/var/lib/dbus/machine-id"

# Host keys go only where something makes new ones: a server without keys lets nobody in.
set -- "$root"/etc/ssh/ssh_host_*
if [ -e "$1" ]; then
	maker=
	for unit in "$root"/usr/lib/systemd/system/sshd-keygen*.service "$root"/lib/systemd/system/sshd-keygen*.service \
		"$root"/etc/systemd/system/multi-user.target.wants/vmwbuild-host-keys.service; do
		[ -e "$unit" ] && maker=${unit##*/}
	done
	[ -n "$maker" ] || ! [ -x "$root/sbin/openrc-run" ] || maker=OpenRC
	[ -n "$maker" ] || ! [ -x "$root/usr/bin/cloud-init" ] || maker=cloud-init
	if [ -z "$maker" ] && [ -x "$root/usr/bin/ssh-keygen" ] && [ -d "$root/etc/systemd/system" ]; then
		mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
		{
			echo "[Unit]"
			echo "Description=SSH host keys of a machine made from a sealed template"
			echo "Before=ssh.service sshd.service ssh.socket"
			echo "ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key"
			echo "[Service]"
			echo "Type=oneshot"
			echo "ExecStart=/usr/bin/ssh-keygen -A"
			echo "[Install]"
			echo "WantedBy=multi-user.target"
		} >"$root/etc/systemd/system/vmwbuild-host-keys.service" &&
			ln -sf ../vmwbuild-host-keys.service \
				"$root/etc/systemd/system/multi-user.target.wants/vmwbuild-host-keys.service" &&
			maker=vmwbuild-host-keys.service &&
			echo "added vmwbuild-host-keys.service, which makes SSH host keys at the first boot"
	fi
	if [ -n "$maker" ]; then
		gone "SSH host keys ($maker makes new ones)" "$@"
	else
		echo "kept the SSH host keys: nothing here would make new ones"
	fi
fi

if [ -d "$root/var/lib/cloud" ]; then
	if [ -z "$root" ] && has cloud-init && cloud-init clean --logs >/dev/null 2>&1; then
		echo "cleaned cloud-init"
	else
		gone "cloud-init's state" "$root"/var/lib/cloud/instance "$root"/var/lib/cloud/instances/* "$root"/var/lib/cloud/data/* \
			"$root"/var/lib/cloud/sem/*
	fi
fi
gone "DHCP leases" "$root"/var/lib/dhcp/*.leases "$root"/var/lib/dhclient/*.lease* "$root"/var/lib/NetworkManager/*.lease \
	"$root"/var/lib/dhcpcd/*.lease
gone "random seeds" "$root"/var/lib/systemd/random-seed "$root"/var/lib/urandom/random-seed "$root"/loader/random-seed
gone "names given to network adapters" "$root"/etc/udev/rules.d/70-persistent-net.rules
gone "shell histories" "$root"/root/.*_history "$root"/home/*/.*_history
gone "old logs" "$root"/var/log/*.gz "$root"/var/log/*.[0-9] "$root"/var/log/*.old "$root"/var/log/*-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9] \
	"$root"/var/log/*/*.gz "$root"/var/log/*/*.[0-9]
gone "the journal" "$root"/var/log/journal/*
if has find && [ -d "$root/var/log" ]; then
	count=$(find "$root/var/log" -xdev -type f -size +0c 2>/dev/null | wc -l)
	find "$root/var/log" -xdev -type f -size +0c -exec sh -c 'for file; do : >"$file"; done' sh {} + 2>/dev/null
	[ "$count" -eq 0 ] || echo "emptied logs: $((count))"
fi
sync 2>/dev/null
[ "$bad" = 0 ] || echo "SEAL couldn't take out everything" >&2
exit "$bad"
