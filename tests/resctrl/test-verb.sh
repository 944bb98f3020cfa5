#!/bin/bash
# SPDX-License-Identifier: MIT
# czctl resctrl on fake-resctrl: test-verb.sh FAKE CZCTL. Mounts in a namespace of its own.
set -eu
fake=$(realpath "$1") czctl=$(realpath "$2")
if [ "$(id -u)" != 0 ] || [ ! -w /dev/fuse ]; then
	echo "needs root and /dev/fuse"
	exit 77
fi
[ "${IN_NAMESPACE:-}" ] || IN_NAMESPACE=1 exec unshare -m --propagation private "$0" "$@"

root=$(mktemp -d /tmp/cz-resctrl-XXXXXX)
tree=$root/sys/fs/resctrl
mkdir -p "$tree" "$root/proc"
mount --bind /proc "$root/proc" # whose threads are meant
sleep 1000 & task=$!
# both kinds of demand: of a group by its name, and of a task wherever it is
printf '%s\n' 'machine intel' 'domains 0' 'closids 3' 'demand group / domain 0 footprint 90e6 accesses 1e8' \
	"demand pid $task domain 0 footprint 90e6 accesses 3e8" > "$root/model"
"$fake" "$root/model" "$tree" & server=$!
finish() {
	kill "$server" "$task" 2>/dev/null || true
	wait "$server" "$task" 2>/dev/null || true
	umount "$root/proc" || true
	rm -rf "$root"
}
trap finish EXIT
for _ in $(seq 1000); do [ -e "$tree/info" ] && break; sleep 0.01; done

cz() { "$czctl" resctrl "$@" --root "$root"; }
fails() { # CODE WORDS COMMAND..
	local code=$1 words=$2 got=0 text
	shift 2
	text=$("$@" 2>&1) || got=$?
	[ "$got" = "$code" ] && grep -qF "$words" <<< "$text" && return
	echo "$*: exit $got instead of $code, or no \"$words\" in: $text"
	exit 1
}
held() { cz show "$1" -o json | jq ".groups[0].llc_occupancy_bytes"; }

cz create batch --llc 2 --membw 25
[ "$(grep -c 'MB:0=  30' "$tree/batch/schemata")" = 1 ] # rounded up to a step
grep -q 'L3:0=600' "$tree/batch/schemata"
[ "$(cz assign batch $task -o json | jq .moved)" = 1 ]
[ "$(cz assign batch $task -o json | jq .moved)" = 0 ] # it is there
grep -qx $task "$tree/batch/tasks"
[ "$(held batch)" -le 4194304 ]
# the default group has the other nine, and its part of these two
[ "$(held /)" -gt $((9 * 2097152)) ]
cz set batch L3:0=3 --mode shareable
grep -q 'L3:0=003' "$tree/batch/schemata"
cz create batch/a
cz show batch/a | grep -q batch/a
cz create other
fails 1 'Out of CLOSIDs' cz create third
fails 1 'File exists' cz create batch
fails 2 'gap' cz set batch L3:0=5
fails 2 '1 to 11 ways' cz set batch --llc 12
fails 2 'Schemata overlaps' cz set batch --mode exclusive
[ "$(cat "$tree/batch/mode")" = shareable ]
fails 4 'No such file' cz rm nobody
fails 4 'o such process' cz assign batch 4194304
cz rm batch
[ ! -e "$tree/batch" ]
grep -qx $task "$tree/tasks"
# what could not be set is not left behind half made
fails 2 'gap' cz create batch L3:0=5
[ ! -e "$tree/batch" ]
