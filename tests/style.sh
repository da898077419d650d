#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks what no compiler does, in TAP: the conventions of CONTRIBUTING.md that a program can see.
set -uo pipefail
shopt -s lastpipe # check counts at the end of pipelines
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

cases=0
status=0

# check NAME: passed if standard input is empty; else each line of it is an offence.
check() {
	local offences
	offences=$(cat)
	cases=$((cases + 1))
	if [ -z "$offences" ]; then
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

# sources PATTERN...: files whose names match, without what was built.
sources() {
	local pattern names=()
	for pattern; do
		names+=(-o -name "$pattern")
	done
	find . \( -path './build*' -o -path './.git' -o -name __pycache__ \) -prune -o \
		-type f \( "${names[@]:1}" \) -printf '%P\n' | sort
}

# Programs without an ending are told by their first line.
scripts() {
	{
		sources '*.sh'
		find . \( -path './build*' -o -path './.git' \) -prune -o \
			-type f -perm -100 ! -name '*.*' -printf '%P\n' |
			while read -r file; do
				head -n 1 "$file" | grep -Eq '^#!.*\b(ba)?sh\b' && echo "$file"
			done
	} | sort -u
}

code=$(sources '*.c' '*.h' '*.S')

{
	echo "$code"
	sources meson.build meson_options.txt '*.py' '*.dts' '*.dtsi' '*.dtso' Kbuild Makefile
	scripts
} | while read -r file; do
	# A script's first line is taken.
	head -n 2 "$file" | sed '1{/^#!/d}' | head -n 1 | grep -q 'SPDX-License-Identifier: ' || echo "$file"
done | check "licence on the first line of each source file"

while read -r file; do
	[ "$(wc -l <"$file")" -le 700 ] || echo "$file: $(wc -l <"$file") lines"
done <<<"$code" | check "no C file of over 700 lines"

{
	echo "$code"
	sources '*.sh' '*.py' meson.build
	scripts
} | sort -u | xargs -r grep -nE '[[:blank:]]+$' /dev/null | check "no blanks at the ends of lines"

# What is sourced is checked where it is used, with the variables that it finds there.
if command -v shellcheck >/dev/null; then
	scripts | while read -r file; do
		[ ! -x "$file" ] || shellcheck --external-sources --check-sourced --format gcc "$file"
	done | sort -u | check "shellcheck"
else
	skip "shellcheck" "it is not installed"
fi

echo "1..$cases"
exit $status
