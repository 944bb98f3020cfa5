# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by ./dev and tools/setup: how long work shows what it is doing and for how long.

note() { printf '%s\n' "-- $*"; }
warn() { printf 'dev: warning: %s\n' "$*" >&2; }

# die MESSAGE [HINT]
die()
{
	printf 'dev: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf '     %s\n' "$2" >&2
	exit 1
}

# run_step TITLE LOG COMMAND..: runs it with its output appended to LOG, with a line at the start,
# a sign of life now and then, and the time taken. On failure the end of the output is shown.
run_step()
{
	local title=$1 log=$2 start=$SECONDS status=0 pid beat=0 from
	shift 2
	mkdir -p "$(dirname "$log")"
	touch "$log"
	from=$(wc -c <"$log")
	printf -- '-- %s ...\n' "$title"
	"$@" >>"$log" 2>&1 </dev/null 9>&- &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		sleep 0.2
		beat=$((beat + 1))
		[ $((beat % 100)) = 0 ] && printf '   still at it, %d s: %.70s\n' \
			$((SECONDS - start)) "$(tail -n 1 "$log" | tr -d '\r')"
	done
	wait $pid || status=$?
	if [ $status = 0 ]; then
		printf '   done in %d s\n' $((SECONDS - start))
		return 0
	fi
	printf '   FAILED after %d s; the end of %s:\n' $((SECONDS - start)) "$log" >&2
	tail -c +$((from + 1)) "$log" | tail -n 30 | sed 's/^/     | /' >&2
	return $status
}
