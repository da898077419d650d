#!/bin/sh
# SPDX-License-Identifier: MIT
# module.sh SOURCE ARCH TRIPLET KERNEL FOLDER OUTPUT [ARGUMENT...]: builds the driver for an unpacked
# kernel with its headers in KERNEL/build, in a copy of the source. ARCH is the kernel's name of the
# machine, TRIPLET the compiler's. Where KERNEL is a whole root file system with a compiler, that one
# builds. More arguments go to make; where they have it build the KUnit tests too, those are put beside
# OUTPUT as ..._test.ko.
set -e
here=$(dirname "$(realpath "$0")")
source=$1 arch=$2 triplet=$3 kernel=$4 folder=$5 output=$(realpath "$6")
shift 6
mkdir -p "$folder/include"
folder=$(realpath "$folder")
# Times stay, so that make does what has changed.
cp -pru "$source/Kbuild" "$source/kernel" "$folder"
cp -pru "$source/include/triovit" "$source/include/uapi" "$folder/include"
rm -f "$folder/triovit.ko"
unset MAKEFLAGS
set -- -s -j "$(nproc)" ARCH="$arch" CROSS_COMPILE="$triplet-" W=1 KBUILD_MODPOST_WARN= "$@" modules
if [ -e "$kernel/usr/bin/make" ]; then
	"$here/inside.sh" "$kernel" "$folder" make -C /build M=/mnt "$@"
else
	make -C "$kernel/build" M="$folder" CC="$triplet-gcc-12" "$@"
fi 2>&1 | sed '/^Skipping BTF generation/d'
"$triplet-strip" -g -o "$output" "$folder/triovit.ko"
[ ! -e "$folder/triovit_test.ko" ] ||
	"$triplet-strip" -g -o "${output%.ko}_test.ko" "$folder/triovit_test.ko"
