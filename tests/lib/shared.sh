# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What tests/run and demo/run share: where things are, how they speak, how nothing hangs.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# What is worth keeping beyond one checkout: the cross sysroots.
# shellcheck disable=SC2034 # not everybody builds for another machine
cache=${TRIOVIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/triovit}

say() {
	printf '[%2d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

die() {
	local self=${0##*/}
	self=$(basename "$(cd "$(dirname "$0")" && pwd)")/$self
	printf '%s: %s\n' "$self" "$*" >&2
	exit 1
}

# limit SECONDS COMMAND...: in a process group of its own, so that children die with the command; but
# on a terminal that would cut the command off from Ctrl-C.
limit_options=(--kill-after=30)
[ -t 0 ] && limit_options+=(--foreground)
limit() {
	timeout "${limit_options[@]}" "$@"
}

# quietly LOG COMMAND...: the output matters only if the command fails.
quietly() {
	local log=$1 status=0
	shift
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if [ $status -ne 0 ]; then
		printf '    exit code %d; the end of %s:\n' $status "${log#"$top"/}"
		tail -n 40 "$log" | sed 's/^/    | /'
	fi
	return $status
}

# Two runs in one tree would build over each other. The lock goes with the process.
lock_tree() {
	mkdir -p "$top/build" || die "cannot write to $top"
	exec 9>"$top/build/.lock"
	flock -n 9 && return
	say "waiting for another run in this tree"
	limit 3600 flock 9 || die "another run has held $top/build/.lock for an hour"
}
