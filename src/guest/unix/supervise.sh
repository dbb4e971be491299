# Supervises a batch of jobs in a guest: POSIX sh, sourced by the batch's `main` in the batch's directory.
#
# Two processes. The runner (this shell) runs the jobs in its foreground: a job started with `&` would inherit
# SIGINT and SIGQUIT ignored. The scribe (a background copy) watches the job's files and writes the log.
#
# The log is directory entries, since a listing is what travels through vCenter: empty files named
# NUMBER.RECORD, 64 to a directory s0, s1, ... A directory is there before the one before it is full, and no entry
# is ever renamed or removed. Entries are made by redirection, so that no process list shows them. Records:
#   bJ           job J begins
#   oJ.DATA eJ.DATA   its output, error output, in base64; xJ.DATA yJ.DATA the same in hexadecimal
#   OJ.N.SIZE EJ.N.SIZE   the same, in file cN
#   gSJ.SIZE     SIZE bytes of stream S (o, e, x, y) are left out here
#   mJ.SIZE      standard output was to be captured and is too large for that: the batch ends
#   rJ.A.HOW     attempt A ended so, another follows
#   fJ.HOW.A.CS  it is over after A attempts; the last took CS hundredths of a second
#   d            the runner vanished
#   z            the end
# HOW: eN exit code, sN signal, t timed out, n not needed, k killed, aN no way to become that user (see way and refusal).
# Before the first of a guest, what the first program tells: see open.sh. The file `first` has the number that follows.
#
# Files of job J: J.l launcher, J.u launcher of what tells whether the job is needed. Of its attempt A (0: that
# one): J.A.b begun (when, limit, budget, the most to be captured or 0), J.A.out, J.A.err, J.A.to timed out, J.A.rc over (verdict, HOW, its number, took).
# Passwords for sudo: w0, w1, ...; while it may ask, the one that is given is in pw, and ask gives it away, once: a wrong
# one counts as one failure, not as three. How the current job has become its user stands in by.
#
# From main: SH GRACE MARK NONCE CHUNK. From what was found in the guest: SETSID ENC FULL OUT ERR TICK LOCALE DEC OS ACCOUNT
# LOGINHOME. BECOME.

# Sets t to a time in hundredths of a second that never jumps, where there is one.
now() {
	if read -r t _ </proc/uptime; then t=${t%.*}${t#*.}; else t=$(date +%s)00; fi
} 2>/dev/null

# --- runner ---

batch() {
	exec </dev/null >/dev/null 2>>sig
	failed=
	now
	scribe 2>/dev/null &
	scribe=$!
	echo "$$ $scribe" >pids
}

wake() {
	[ -f ready ] && kill -USR1 "$scribe"
}

end() {
	true >end
	wake
	wait "$scribe"
	[ ! -f w0 ] || rm -f pw w[0-9]*
}

# attempt J A LIMIT "BUDGET MOST" LAUNCHER HOW USER PASSWORD: sets code, took; refused, when it has not become that user.
attempt() {
	true >"$1.$2.out"
	true >"$1.$2.err"
	true >sig
	now
	begun=$t
	echo "$begun $3 $4" >"$1.$2.b"
	refused=
	[ ! -f by ] || rm -f by
	if [ "$6" != - ]; then
		start="n=.vmwbuild-$NONCE.$1.$2;k=$MARK.$1.$2;s=$SH;l=$LOCALE;e=$DEC;$BECOME"
		# sudo logs the whole text, and repeats it when it refuses: it gets a short one, that reads this before the launcher.
		[ "$6" != sudo ] || {
			{ printf %s "$start" && cat "$5"; } >start &&
				mv start "$5" &&
				start='eval "$(dd bs=1 count='${#start}' 2>/dev/null)"'
		}
		exec 3<"$5"
		echo "$6 $8 $7" >by
	fi
	(
		VMWBUILD_JOB=$MARK.$1.$2
		export VMWBUILD_JOB
		case $2.$6 in
		0.-) exec >/dev/null 2>&1 ;;
		0.*) exec >/dev/null 2>said ;;
		*) exec >>"$1.$2.out" 2>>"$1.$2.err" ;;
		esac
		become "$5" "$6" "$7" "$8"
	)
	code=$?
	now
	took=$((t - begun))
	[ "$6" = - ] && return
	[ ! -f pw ] || rm -f pw
	# Whoever becomes that user reads the launcher, which is the same open file here.
	if read -r line <&3 && [ ! -f "$1.$2.to" ] && [ ! -f stop ]; then
		refused=1
		[ "$2" != 0 ] || cat said >"$1.0.err"
	fi
	exec 3<&-
}

# refusal J HOW PASSWORD: the program has refused.
refusal() {
	case $2 in
	runuser) num=10 ;;
	su | bsdsu) num=11 ;;
	sudo)
		num=12
		[ "$3" = - ] || [ -x ask ] || num=8
		;;
	doas) num=13 ;;
	esac
	verdict "$1" done a "$num" 0
}

# way VIA USER: sets how to that by which a job becomes its user, `-` when it is that of the login. If there is no way, it
# fails and sets why: 0 no such account, 1 it needs root, 2 root has nothing for it, 3 nor has another one, 4 to 7 there is
# no runuser, su, sudo, doas. 8 sudo can't run ask: no program runs from here.
way() {
	how=-
	why=0
	case $1 in
	-) return ;;
	auto)
		if [ "$ACCOUNT" = 0 ]; then
			why=2
			list='runuser su sudo doas'
		else
			why=3
			list='sudo doas'
		fi
		;;
	runuser) why=4 list=$1 ;;
	su) why=5 list=$1 ;;
	sudo) why=6 list=$1 ;;
	doas) why=7 list=$1 ;;
	esac
	case $1 in
	runuser | su)
		if [ "$ACCOUNT" != 0 ]; then
			why=1
			return 1
		fi
		;;
	esac
	for how in $list -; do
		[ "$how" = - ] && return 1
		command -v "$how" >/dev/null 2>&1 && break
	done
	why=0
	[ "$how.$OS" = su.Linux ] || [ "$how" != su ] || how=bsdsu
	id -u "$2" >/dev/null 2>&1
}

# become LAUNCHER HOW USER PASSWORD: turns into the job, by start. Another user can't read our directory: the launcher goes
# through standard input, and a private directory of that user's own holds it.
become() {
	if [ "$2" = - ]; then
		exec $SETSID "$SH" "$1" "$PWD" "$LOCALE" "$DEC" "$LOGINHOME"
	fi
	exec <&3 3<&-
	rm -f "$1"
	as "$2" "$4" "$3" "$start"
}

# as HOW PASSWORD USER TEXT: turns into a shell of that user.
as() {
	asks=-n
	if [ "$1" = sudo ]; then
		# What it says is read.
		LC_ALL=C
		export LC_ALL
		if [ "$2" != - ]; then
			cp "w$2" pw
			if [ ! -s ask ]; then
				printf '%s\n' "#!$SH" 'f=${0%/*}/pw' 'cat "$f" 2>/dev/null && rm -f "$f"' >ask
				chmod 700 ask
			fi
			SUDO_ASKPASS=$PWD/ask
			export SUDO_ASKPASS
			[ -x ask ] && asks=-A
		fi
	fi
	cd /
	case $1 in
	runuser) exec $SETSID runuser -s "$SH" -c "$4" "$3" ;;
	su) exec $SETSID su -s "$SH" -c "$4" "$3" ;;
	bsdsu) exec env SHELL="$SH" $SETSID su -m "$3" -c "$4" ;;
	sudo) exec $SETSID sudo $asks -H -u "$3" -- "$SH" -c "$4" ;;
	doas) exec $SETSID doas -n -u "$3" -- "$SH" -c "$4" ;;
	esac
	exit 126
}

# job J LIMIT RETRIES DELAY OKS ALLOWED "BUDGET MOST" VIA USER PASSWORD. DELAY: as it is and as whole seconds, with a `/` between.
job() {
	if [ -n "$failed" ] || [ -f stop ]; then
		return
	fi
	a=1
	if ! way "$8" "$9"; then
		true >"$1.1.out"
		true >"$1.1.err"
		echo "0 0 0 0" >"$1.1.b"
		verdict "$1" done a "$why" 0
		return
	fi
	by=$how
	if [ -f "$1.u" ]; then
		a=0
		attempt "$1" 0 "$2" "0 0" "$1.u" "$by" "$9" "${10}"
		if [ -n "$refused" ]; then
			refusal "$1" "$by" "${10}"
			return
		fi
		if [ -f "$1.0.to" ]; then
			verdict "$1" done t 0 "$6"
			return
		fi
		if [ "$code" -eq 0 ]; then
			verdict "$1" done n 0 1
			return
		fi
		if [ -f stop ]; then
			verdict "$1" done k 0 0
			return
		fi
		verdict "$1" run e "$code" 1
		a=1
	fi
	while :; do
		launcher=$1.l
		if [ "$a" -le "$3" ]; then
			launcher=$1.x
			cp "$1.l" "$1.x"
		fi
		attempt "$1" "$a" "$2" "$7" "$launcher" "$by" "$9" "${10}"
		if [ -n "$refused" ]; then
			refusal "$1" "$by" "${10}"
			return
		fi
		how=e
		num=$code
		if [ -f "$1.$a.to" ]; then
			how=t
			num=0
		elif [ -f stop ]; then
			how=k
			num=0
		elif [ "$code" -gt 128 ] && [ -s sig ]; then
			# The shell says so when a signal has ended what it ran; an exit code of 137 leaves it silent.
			how=s
			num=$((code - 128))
		fi
		if [ "$how" = e ]; then
			case " $5 " in
			*" $num "*)
				verdict "$1" done e "$num" 1
				return
				;;
			esac
		fi
		if [ "$a" -gt "$3" ] || [ "$how" = k ]; then
			verdict "$1" done "$how" "$num" "$6"
			return
		fi
		verdict "$1" retry "$how" "$num" 1
		a=$((a + 1))
		case $TICK in
		*.*) sleep "${4%/*}" ;;
		*) sleep "${4#*/}" ;;
		esac
		if [ -f stop ]; then
			return
		fi
	done
}

# verdict J VERDICT HOW NUMBER GOES_ON
verdict() {
	echo "$2 $3 $4 ${took:-0}" >"$1.$a.rc"
	if [ "$5" != 1 ]; then
		failed=1
	fi
	wake
}

# --- scribe ---

# rec RECORD. A disk that is full may have room again later.
rec() {
	left=$((left - 1))
	if [ "$left" -eq 0 ]; then
		until mkdir "s$((seg + 1))"; do sleep 1; done
	fi
	until true >"s$seg/$seq.$1"; do sleep 1; done
	seq=$((seq + 1))
	if [ "$left" -eq 0 ]; then
		seg=$((seg + 1))
		left=64
	fi
}

scribe() {
	tick=
	halt=
	trap 'tick=1' USR1
	trap 'halt=1' TERM
	newlog
	k=0
	a=0
	opened=
	over=
	slow=0
	chunks=0
	named=
	true >ready
	while :; do
		tick=
		while step; do :; done
		if [ -n "$over" ]; then
			break
		fi
		if [ -n "$halt" ] && [ ! -f stop ]; then
			true >stop
			read -r runner self <pids
			endtree "$runner" "$self" "$MARK.$k."
			continue
		fi
		sleep "$TICK" &
		nap=$!
		if [ -z "$tick" ]; then
			wait "$nap"
		fi
		kill "$nap"
		wait "$nap"
		slow=$((slow + 1))
	done
	rec z
}

newlog() {
	seq=0
	[ -s first ] && read -r seq <first
	seg=0
	left=$((64 - seq))
}

# One look at the current job; succeeds when there may be more to see at once.
step() {
	if [ -z "$opened" ]; then
		last=
		[ -f end ] && last=1
		if [ "$a" -eq 0 ] && [ ! -s "$k.0.b" ]; then
			a=1
		fi
		if [ ! -s "$k.$a.b" ]; then
			[ "$a" -eq 1 ] && a=0
			if [ -n "$last" ]; then
				over=1
			elif ! kill -0 $$ && [ ! -f end ]; then
				rec d
				over=1
			fi
			return 1
		fi
		read -r begun limit tokens wanted <"$k.$a.b"
		most=$tokens
		large=
		if [ "$a" -le 1 ] && [ "$named" != "$k" ]; then
			rec "b$k"
			named=$k
		fi
		exec 4<"$k.$a.out" 5<"$k.$a.err"
		outpos=0
		errpos=0
		opened=1
	fi
	finished=
	[ -s "$k.$a.rc" ] && finished=1
	if [ "$slow" -gt 0 ]; then
		# A quarter of a second's worth of data that is listed rather than transferred: 8 KiB a second.
		tokens=$((tokens + 2048))
		[ "$tokens" -gt "$most" ] && tokens=$most
	fi
	if [ "$wanted" -gt 0 ] && [ -s "$k.$a.out" ]; then
		size=$(wc -c <"$k.$a.out")
		size=$((size))
		if [ "$size" -gt "$wanted" ]; then
			rec "m$k.$size"
			wanted=0
			large=1
			halt=1
			return 1
		fi
	fi
	pos=$outpos
	[ -n "$large" ] || drain "$OUT" O 4 "$k.$a.out"
	outpos=$pos
	pos=$errpos
	drain "$ERR" E 5 "$k.$a.err"
	errpos=$pos
	[ "$slow" -ge 8 ] && slow=0
	if [ -n "$finished" ]; then
		read -r verdict how num took <"$k.$a.rc"
		exec 4<&- 5<&-
		if [ "$((outpos + errpos))" -gt 65536 ]; then
			rm -f "$k.$a.out" "$k.$a.err"
		fi
		opened=
		case $verdict in
		run) a=1 ;;
		retry)
			rec "r$k.$a.$how$num"
			a=$((a + 1))
			;;
		*)
			rec "f$k.$how$num.$a.$took"
			k=$((k + 1))
			a=0
			;;
		esac
		return 0
	fi
	if [ "$limit" -gt 0 ]; then
		now
		if [ "$((t - begun))" -ge "$limit" ]; then
			true >"$k.$a.to"
			limit=0
			read -r runner self <pids
			endtree "$runner" "$self" "$MARK.$k.$a" "$k.$a.rc"
			return 0
		fi
	fi
	if ! kill -0 $$ && [ ! -s "$k.$a.rc" ]; then
		rec d
		over=1
	fi
	return 1
}

# emit LETTER COMMAND: what the command prints, as records; sets got (characters), pos.
emit() {
	got=0
	cur=
	pad=
	# Neither blanks nor patterns are in it.
	for line in $(eval "$2" | eval "$ENC"); do
		cur=$cur$line
		pad=${line##*[!=]}
		got=$((got + ${#line}))
		if [ "${#cur}" -ge 164 ]; then
			rec "$1$k.$cur"
			cur=
		fi
	done
	if [ -n "$cur" ]; then
		rec "$1$k.$cur"
	fi
	bytes=$((got * 12288 / FULL - ${#pad}))
	pos=$((pos + bytes))
	tokens=$((tokens - bytes))
}

# drain LETTER BIG FD FILE: new output into the log, as far as the budget goes. What is read through the descriptor is
# never read again. Beyond the budget: into files to be transferred, or it waits, and in the end only its tail is shown.
drain() {
	[ -s "$4" ] || return
	while [ "$tokens" -gt 0 ]; do
		emit "$1" "dd bs=12288 count=1 <&$3"
		[ "$got" -lt "$FULL" ] && return
	done
	if [ "$CHUNK" = 1 ]; then
		if [ -n "$finished" ] || [ "$slow" -ge 8 ]; then
			while :; do
				chunks=$((chunks + 1))
				dd bs=65536 count=128 <&"$3" >"c$chunks"
				[ -s "c$chunks" ] || return
				size=$(wc -c <"c$chunks")
				size=$((size))
				rec "$2$k.$chunks.$size"
				pos=$((pos + size))
				[ "$size" -lt 8388608 ] && return
			done
		fi
		return
	fi
	if [ -n "$finished" ]; then
		size=$(wc -c <"$4")
		rest=$((size - pos))
		if [ "$rest" -gt 49152 ]; then
			rec "g$1$k.$((rest - 32768))"
			emit "$1" "tail -c 32768 '$4'"
			pos=$size
			return
		fi
		while :; do
			emit "$1" "dd bs=12288 count=1 <&$3"
			[ "$got" -lt "$FULL" ] && return
		done
	fi
}

# tree ROOT SELF MARK SEEDS: sets tree to the processes below ROOT, in their sessions, or marked so, and to what is left of
# SEEDS, with what is below and in the sessions of those; never ROOT, nor SELF and what is below it.
tree() {
	seeds=" $4 "
	table=
	if [ -r /proc/self/stat ]; then
		for f in /proc/[0-9]*/stat; do
			read -r line <"$f" || continue
			p=${f#/proc/}
			p=${p%/stat}
			set -- "$1" "$2" "$3" "" ${line##*) }
			[ "$5" = Z ] && continue
			table="$table $p:$6:$8"
		done
		tree=" $(grep -l "VMWBUILD_JOB=$3" /proc/[0-9]*/environ | sed 's,[^0-9],,g' | tr '\n' ' ') "
	else
		table=$(ps -A -o pid= -o ppid= -o pgid= | sed 's/^ *//;s/  */:/g')
		tree=' '
	fi
	grown=1
	while [ -n "$grown" ]; do
		grown=
		for row in $table; do
			p=${row%%:*}
			[ "$p" = "$1" ] && continue
			[ "$p" = "$2" ] && continue
			case $tree in *" $p "*) continue ;; esac
			row=${row#*:}
			case " $1 $tree$seeds" in
			*" ${row%:*} "*) ;;
			*)
				case $tree$seeds in
				*" ${row#*:} "* | *" $p "*) ;;
				*) continue ;;
				esac
				;;
			esac
			tree="$tree$p "
			grown=1
		done
	done
	case $tree in
	*[0-9]*) ;;
	*) tree= ;;
	esac
}

# endtree ROOT SELF MARK RC: ends those processes; fails when some stay. With RC, those of one attempt, which is over once
# there is that file: what ROOT runs then is the next one's.
endtree() {
	tree "$1" "$2" "$3" ""
	[ -z "$tree" ] && return
	[ -n "$4" ] && [ -s "$4" ] && return
	root=$1
	[ -n "$4" ] && root=
	ending "kill -TERM $tree; kill -CONT $tree"
	now
	until=$((t + GRACE * 100))
	while :; do
		sleep "$TICK"
		tree "$root" "$2" "$3" "$tree"
		[ -z "$tree" ] && return
		now
		[ "$t" -ge "$until" ] && break
	done
	until=$((t + 1000))
	while [ "$t" -lt "$until" ]; do
		ending "kill -KILL $tree"
		sleep "$TICK"
		tree "$root" "$2" "$3" "$tree"
		[ -z "$tree" ] && return
		now
	done
	return 1
}

# ending COMMAND: done by us; where that fails, by the user whom the job has become: only root may end another one's processes.
ending() {
	eval "$1" && return
	if [ "$ACCOUNT" != 0 ] && [ -s by ]; then
		read -r way password user <by
		(as "$way" "$password" "$user" "$1") </dev/null
	fi
}

# --- for others than the supervisor, in the directory of a batch ---

# Sets runner and scribe, of a batch that may be starting just now.
pids() {
	n=0
	until [ -s pids ] || [ "$n" -ge 40 ]; do
		sleep "$TICK"
		n=$((n + 1))
	done
	runner=
	scribe=
	read -r runner scribe <pids
} 2>/dev/null

# alive PID: whether that process is the batch's; its number may be another's by now.
alive() {
	[ -n "$1" ] && kill -0 "$1" 2>/dev/null && { [ ! -f /proc/self/cwd/main ] || [ -f "/proc/$1/cwd/main" ]; }
}

# dead HOW: says that nobody writes the log any more, and how the job ended that it doesn't tell the end of.
dead() {
	mkdir -p s0
	for s in s*; do
		true >"$s/dead.$1"
	done
}
