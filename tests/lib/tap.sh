# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What scripts that speak TAP share. check stands at the end of pipelines and counts there: lastpipe.
shopt -s lastpipe

cases=0
status=0

# check NAME [STATUS]: passed if standard input is empty and STATUS is 0; else each line of it is an
# offence.
check() {
	local offences
	offences=$(cat)
	cases=$((cases + 1))
	if [ "${2:-0}" -eq 0 ] && [ -z "$offences" ]; then
		echo "ok $cases - $1"
	else
		echo "not ok $cases - $1"
		# shellcheck disable=SC2001 # every line
		sed 's/^/    /' <<<"$offences"
		status=1
	fi
}

skip() { # NAME REASON
	cases=$((cases + 1))
	echo "ok $cases - $1 # SKIP $2"
}

# Ends the script.
finish() {
	echo "1..$cases"
	exit $status
}
