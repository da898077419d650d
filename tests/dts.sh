#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The device trees, in TAP: the binding is one, the overlays fit the boards' trees of Linux, and what
# comes of them is as the binding wants it.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lib/shared.sh
. "$here/lib/shared.sh"
# shellcheck source=/dev/null # checked with tests/lib/lanes.sh
. "$here/cross/sysroot.sh"
# shellcheck source=tests/lib/linux-source.sh
. "$here/lib/linux-source.sh"
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"

bindings=$top/dts/bindings
work=$top/build/dts
# What overlays are for: board's source in Linux, and the accelerator's path in its tree.
declare -A boards=(
	[triovit-zcu102]="arm64/boot/dts/xilinx/zynqmp-zcu102-rev1.0.dts axi/accelerator@a0000000"
	[triovit-k26]="arm64/boot/dts/xilinx/zynqmp-smk-k26-revA.dts axi/accelerator@a0000000"
	[triovit-zc706]="arm/boot/dts/xilinx/zynq-zc706.dts axi/accelerator@43c00000"
	[qemu-zynq]="arm/boot/dts/xilinx/zynq-zc702.dts axi/accelerator@43c00000"
	[triovit-zybo-z7]="arm/boot/dts/xilinx/zynq-zybo-z7.dts axi/accelerator@43c00000"
)

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

# compile SOURCE OUTPUT [FLAG...]: as the kernel's Makefile does.
compile() {
	local source=$1 output=$2
	shift 2
	cpp -nostdinc -undef -D__DTS__ -x assembler-with-cpp -I "$linux/include" \
		-I "$linux/scripts/dtc/include-prefixes" -I "$linux/include/uapi" "$source" |
		dtc -@ -Wno-avoid_unnecessary_addr_size -I dts -O dtb -o "$output" "$@" -
}

# validate TREE: what is wrong with the accelerators of it.
validate() {
	dt-validate -s "$work/schema.json" "$1" 2>&1 | grep accelerator@
}

# quiet COMMAND...: everything that it says is an offence.
quiet() {
	local name=$1 said code=0
	shift
	said=$("$@" 2>&1) || code=$?
	check "$name" $code <<<"$said"
}

for program in cpp dtc fdtoverlay dt-validate; do
	command -v $program >/dev/null || skip_all "$program is not installed"
done
linux=$(linux_source_part dts 'arch/arm64/boot/dts/xilinx/*' 'arch/arm/boot/dts/xilinx/*' \
	'include/dt-bindings/*' 'scripts/dtc/include-prefixes/*' \
	'include/uapi/linux/input-event-codes.h') || skip_all "Linux's source could not be downloaded"
rm -rf "$work"
mkdir -p "$work"

# A folder of them: of a single file dt-mk-schema thinks that it is processed already.
dt-mk-schema -j "$bindings" >"$work/schema.json" || exit
(
	cd "$bindings" || exit
	find . -name '*.yaml' -printf '%P\n' | xargs dt-doc-validate -u "$bindings" 2>&1
) | check "the binding is one that dt-schema accepts"

dt-extract-example "$bindings/npu/triovit,accel.yaml" >"$work/example.dts"
compile "$work/example.dts" "$work/example.dtb" -q
validate "$work/example.dtb" | check "its example is as it says"

for overlay in $(printf '%s\n' "${!boards[@]}" | sort); do
	read -r base path <<<"${boards[$overlay]}"
	compile "$linux/arch/$base" "$work/$overlay-base.dtb" -q
	quiet "$overlay compiles" compile "$top/dts/$overlay.dtso" "$work/$overlay.dtbo"
	quiet "$overlay fits $(basename "$base")" fdtoverlay -i "$work/$overlay-base.dtb" \
		-o "$work/$overlay.dtb" "$work/$overlay.dtbo"
	fdtget "$work/$overlay.dtb" "/$path" compatible 2>&1 | grep -vx 'triovit,accel-1.0' |
		check "$overlay: the accelerator is where it should be"
	validate "$work/$overlay.dtb" | check "$overlay: the tree is as the binding wants it"
done

for source in "$top"/dts/*.dts; do
	[ -e "$source" ] || continue
	name=$(basename "$source" .dts)
	quiet "$name compiles" compile "$source" "$work/$name.dtb"
	validate "$work/$name.dtb" | check "$name: the tree is as the binding wants it"
done

# That the binding says anything at all.
for broken in 's/\binterrupts = .*;//' 's/\bclocks = .*;//' 's/ 0x1000>/ 0x1000>, <1 1>/' \
	's/accel-1.0/accel-1.0", "accel/' 's/memory-region/memory-regions/'; do
	sed "$broken" "$work/example.dts" >"$work/broken.dts"
	compile "$work/broken.dts" "$work/broken.dtb" -q
	said=$(validate "$work/broken.dtb")
	[ -n "$said" ]
	check "a tree that is wrong is told: $broken" $? </dev/null
done

finish
