#!/bin/sh
# SPDX-License-Identifier: MIT
# module.sh SOURCE KERNEL FOLDER OUTPUT [ARGUMENT...]: builds the driver for a kernel whose headers
# are in KERNEL, in a copy of the source. More arguments go to make.
set -e
source=$1 kernel=$2 folder=$3 output=$(realpath "$4")
shift 4
mkdir -p "$folder/include"
folder=$(realpath "$folder")
# Times stay, so that make does what has changed.
cp -pru "$source/Kbuild" "$source/kernel" "$folder"
cp -pru "$source/include/triovit" "$source/include/uapi" "$folder/include"
unset MAKEFLAGS
make -s -j "$(nproc)" -C "$kernel" M="$folder" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
	CC=aarch64-linux-gnu-gcc-12 W=1 KBUILD_MODPOST_WARN= "$@" modules 2>&1 |
	sed '/^Skipping BTF generation/d'
aarch64-linux-gnu-strip -g -o "$output" "$folder/triovit.ko"
