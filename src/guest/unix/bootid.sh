# Sets boot to what changes with each restart of the guest, and age to the hundredths of a second since then, where that can
# be told. A container shares boot_id with its host, but not when it started.
bootid() {
	boot=
	age=
	if [ -r /proc/sys/kernel/random/boot_id ]; then
		read -r boot </proc/sys/kernel/random/boot_id
		read -r line </proc/1/stat
		set -- ${line##*) }
		shift 19
		boot=$boot.$1
		# The kernel counts this in hundredths on every machine.
		if read -r up line </proc/uptime; then
			line=${up#*.}
			age=$((${up%.*} * 100 + ${line#0} - $1))
		fi 2>/dev/null
	else
		boot=$(sysctl -n kern.boottime 2>/dev/null || who -b)
	fi
}
