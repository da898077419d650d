#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks what no compiler does, in TAP: the conventions of CONTRIBUTING.md that a program can see.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

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

finish
