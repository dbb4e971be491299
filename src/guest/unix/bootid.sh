# Sets boot to what changes with each restart of the guest. A container shares boot_id with its host, but not when it started.
bootid() {
	boot=
	if [ -r /proc/sys/kernel/random/boot_id ]; then
		read -r boot </proc/sys/kernel/random/boot_id
		read -r line </proc/1/stat
		set -- ${line##*) }
		shift 19
		boot=$boot.$1
	else
		boot=$(sysctl -n kern.boottime 2>/dev/null || who -b)
	fi
}
