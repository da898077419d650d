#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# source.sh GUEST FOLDER SID: what compilers, sparse and checkpatch say of the driver, in TAP.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lib/shared.sh
. "$here/../lib/shared.sh"
# shellcheck source=tests/cross/sysroot.sh
. "$top/tests/cross/sysroot.sh"
# shellcheck source=tests/lib/linux-source.sh
. "$top/tests/lib/linux-source.sh"
# shellcheck source=tests/lib/tap.sh
. "$top/tests/lib/tap.sh"
guest=$1
folder=$2
sid=$3

# module NAME KERNEL ARGUMENT...
module() {
	local name=$1 kernel=$2 machine=(arm64 aarch64-linux-gnu)
	shift 2
	[[ $name != armmp-* ]] || machine=(arm arm-linux-gnueabihf)
	mkdir -p "$folder"
	"$here/module.sh" "$top" "${machine[@]}" "$kernel" "$folder/$name" "$folder/$name.ko" "$@" 2>&1
	[ -e "$folder/$name.ko" ] || echo "there is no module"
}

rm -rf "$folder"
sparse='' with=''
if command -v sparse >/dev/null; then
	# It takes two fields of the golden job's first command for one.
	sparse="C=2 CF=-Wno-override-init" with=", sparse"
fi
for series in 6.1 6.12; do
	# shellcheck disable=SC2086 # arguments
	module "gcc-$series" "$guest/linux-$series" $sparse | check "Linux $series, gcc, W=1$with"
	[ -n "$sparse" ] || skip "Linux $series, sparse" "sparse is not installed"
	# Warnings in the kernel's own headers are not ours.
	if command -v clang >/dev/null; then
		module "clang-$series" "$guest/linux-$series" CC="$here/clang.sh" |
			grep -E 'kernel/triovit|include/(triovit|uapi/drm/triovit)|no module|error' |
			grep -v '^In file included' | check "Linux $series, clang, W=1"
	else
		skip "Linux $series, clang, W=1" "clang is not installed"
	fi
	# shellcheck disable=SC2086 # arguments
	module "armmp-$series" "$guest/armmp-$series" $sparse |
		check "Linux $series for armhf, gcc, W=1$with"
done

if [ -n "$sid" ]; then
	release=$(basename "$(readlink "$sid/build")")
	module gcc-sid "$sid" | check "Linux ${release#linux-headers-} of sid, its gcc, W=1"
else
	skip "sid's Linux" "sid could not be fetched"
fi

# As kernel/README.md says. Debian's kernels for PCs are without one of the modules that it needs.
running=/lib/modules/$(uname -r)/build
config=$running/include/config/auto.conf
if [ ! -e "$running/Makefile" ]; then
	skip "the running kernel" "there is no $running"
elif ! grep -q '^CONFIG_DRM_SCHED=' "$config"; then
	skip "the running kernel" "Linux $(uname -r) has no DRM_SCHED"
else
	mkdir "$folder/running"
	cp -r "$top/Kbuild" "$top/kernel" "$top/include" "$folder/running"
	with='' link=()
	grep -q '^CONFIG_DRM_GEM_DMA_HELPER=' "$config" ||
		with=", compiled only" link=(KBUILD_MODPOST_WARN=1)
	if ! MAKEFLAGS='' make -s -C "$running" M="$folder/running" "${link[@]}" modules \
		>"$folder/running.log" 2>&1; then
		cat "$folder/running.log"
	fi | check "Linux $(uname -r), which is running$with"
fi

# Not ours: lines of 100 columns and comments as in the rest of the tree; versions are what compat.h
# is about; macros of trace events have a form of their own.
ignored=LONG_LINE,LONG_LINE_COMMENT,BLOCK_COMMENT_STYLE,LINUX_VERSION_CODE,CONSTANT_COMPARISON
ignored+=,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,FILE_PATH_CHANGES
if linux=$(linux_source_part checkpatch scripts/checkpatch.pl scripts/spelling.txt \
	scripts/const_structs.checkpatch); then
	(
		cd "$top" && "$linux/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary \
			--max-line-length=100 --ignore "$ignored" -f kernel/*.[ch] \
			include/uapi/drm/*.h 2>&1
	) | check "checkpatch --strict"
else
	skip "checkpatch --strict" "Linux's source could not be downloaded"
fi
perl "$guest"/linux-6.12/usr/lib/linux-kbuild-*/scripts/kernel-doc -none -Wall \
	"$top/include/uapi/drm/triovit_accel.h" 2>&1 | check "kernel-doc: every field of the user API"

# layout COMPILER [OPTION]: the structures of the user API. What kernel headers they need is the same
# for all machines.
layout() {
	local header=$top/include/uapi/drm/triovit_accel.h names
	names=$(sed -n 's/^struct \([a-z_]*\) {$/\1/p' "$header")
	{
		echo "#include \"$header\""
		# shellcheck disable=SC2001 # every line
		sed 's/.*/struct & *&;/' <<<"$names"
	} | "$@" -nostdinc -isystem /usr/include -isystem "/usr/include/$(gcc -print-multiarch)" \
		-isystem /usr/include/libdrm -g -x c -c -o "$folder/layout.o" - || return
	pahole -C "$(paste -sd , <<<"$names")" "$folder/layout.o"
}

if command -v pahole >/dev/null; then
	layout gcc >"$folder/layout" 2>&1
	{
		grep -q 'size:' "$folder/layout" || cat "$folder/layout"
		grep -iE 'hole|padding' "$folder/layout"
	} | check "pahole: the user API has no holes"
	for compiler in "gcc -m32" aarch64-linux-gnu-gcc arm-linux-gnueabihf-gcc; do
		name="pahole: the user API's layouts are the same with $compiler"
		if ${compiler} -E -x c /dev/null >/dev/null 2>&1; then
			# shellcheck disable=SC2086 # an option
			layout $compiler 2>&1 | diff "$folder/layout" - | check "$name"
		else
			skip "$name" "there is no such compiler"
		fi
	done
else
	skip "pahole: the user API's layouts" "dwarves are not installed"
fi
finish
