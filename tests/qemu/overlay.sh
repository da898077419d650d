#!/bin/sh
# SPDX-License-Identifier: MIT
# overlay.sh INCLUDE BASE OVERLAY OUTPUT: compiles a device tree overlay with the kernel's headers in
# INCLUDE, and applies it.
set -e
cpp -nostdinc -undef -D__DTS__ -x assembler-with-cpp -I "$1" "$3" | dtc -@ -q -I dts -o "$4.dtbo" -
fdtoverlay -i "$2" -o "$4" "$4.dtbo"
rm "$4.dtbo"
