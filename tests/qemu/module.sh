#!/bin/sh
# SPDX-License-Identifier: MIT
# module.sh SOURCE KERNEL FOLDER OUTPUT [ARGUMENT...]: builds the driver for an unpacked kernel with
# its headers in KERNEL/build, in a copy of the source. Where KERNEL is a whole root file system with a
# compiler, that one builds. More arguments go to make.
set -e
here=$(dirname "$(realpath "$0")")
source=$1 kernel=$2 folder=$3 output=$(realpath "$4")
shift 4
mkdir -p "$folder/include"
folder=$(realpath "$folder")
# Times stay, so that make does what has changed.
cp -pru "$source/Kbuild" "$source/kernel" "$folder"
cp -pru "$source/include/triovit" "$source/include/uapi" "$folder/include"
rm -f "$folder/triovit.ko"
unset MAKEFLAGS
set -- -s -j "$(nproc)" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- W=1 KBUILD_MODPOST_WARN= \
	"$@" modules
if [ -e "$kernel/usr/bin/make" ]; then
	"$here/inside.sh" "$kernel" "$folder" make -C /build M=/mnt "$@"
else
	make -C "$kernel/build" M="$folder" CC=aarch64-linux-gnu-gcc-12 "$@"
fi 2>&1 | sed '/^Skipping BTF generation/d'
aarch64-linux-gnu-strip -g -o "$output" "$folder/triovit.ko"
