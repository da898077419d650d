# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Kernels that Debian does not build, from its source of Linux: what tests/qemu/kernels/NAME.config
# says, and nothing else. Of each is kept what boots it and what builds modules for it, laid out as
# in Debian's packages: boot/, lib/modules/, build/.
# shellcheck source=tests/lib/linux-source.sh
. "$top/tests/lib/linux-source.sh"

# NAME: architecture, compiler's triplet, how many files there are to compile, about, and what to
# make beside modules; a .dtb with symbols, for overlays.
declare -A kernels=(
	[zynq]="arm arm-linux-gnueabihf 900 zImage xilinx/zynq-zc702.dtb"
	[debug]="arm64 aarch64-linux-gnu 750 Image.gz"
)

# Make in a kernel's tree. Nothing in the result says when or where it was built, so that ccache
# serves the next build elsewhere.
kernel_make() { # WORK ARCH TRIPLET ARGUMENT...
	local work=$1 arch=$2 triplet=$3 ccache=''
	shift 3
	command -v ccache >/dev/null && ccache='ccache '
	CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1 KBUILD_BUILD_TIMESTAMP=1970-01-01 \
		KBUILD_BUILD_USER=triovit KBUILD_BUILD_HOST=triovit limit 3600 \
		make -C "$work/source" O="$work/output" ARCH="$arch" CROSS_COMPILE="$triplet-" \
		CC="$ccache$triplet-gcc" DTC_FLAGS=-@ "$@"
}

# Options that did not come out as wanted: of another machine, or of something that is not there.
lost_options() { # FRAGMENT CONFIG
	awk -F= 'NR == FNR { is[$1] = $2; next }
		/^CONFIG_/ && is[$1] != ($2 == "n" ? "" : $2) {
			print $0 " is lost: it came out as \"" is[$1] "\""
		}' "$2" "$1"
}

# Passes make's output on, and says on descriptor 3 how far it has come.
show_progress() { # NAME FILES
	local line count=0
	while IFS= read -r line; do
		echo "$line"
		[[ $line == "  CC "* ]] && ((++count % 200 == 0)) &&
			say "kernel $1: $count of about $2 files" >&3
	done
	return 0
}

fill_kernel() { # NAME WORK FOLDER ARCH TRIPLET FILES TARGET...
	local name=$1 work=$2 folder=$3 how=("$2" "$4" "$5") files=$6 image release lost target
	local fragment=$top/tests/qemu/kernels/$1.config
	shift 6
	mkdir -p "$work/source" "$folder/boot" &&
		tar -C "$work/source" --strip-components=1 -xJf "$(linux_source_tar)" || return
	kernel_make "${how[@]}" KCONFIG_ALLCONFIG="$fragment" allnoconfig || return
	lost=$(lost_options "$fragment" "$work/output/.config")
	if [ -n "$lost" ]; then
		echo "$lost"
		return 1
	fi
	kernel_make "${how[@]}" -j "$(nproc)" "$@" modules 2>&1 | show_progress "$name" "$files" ||
		return
	image=$(kernel_make "${how[@]}" -s image_name) &&
		release=$(kernel_make "${how[@]}" -s kernelrelease) &&
		cp "$work/output/$image" "$folder/boot/vmlinuz-$release" || return
	for target; do
		[[ $target != *.dtb ]] ||
			cp "$work/output/arch/${how[1]}/boot/dts/$target" "$folder/boot" || return
	done
	kernel_make "${how[@]}" INSTALL_MOD_PATH="$folder" INSTALL_MOD_STRIP=1 DEPMOD=true \
		modules_install || return
	# It would build programs for the machine that the kernel is for, if they had another
	# compiler than those that run here.
	(cd "$work/output" && srctree=$work/source SRCARCH=${how[1]} CC=cc HOSTCC=cc \
		sh "$work/source/scripts/package/install-extmod-build" "$folder/build")
}

# kernel_path NAME: where it is, or will be. The name changes with all that it is made from.
kernel_path() {
	local how tar key
	read -ra how <<<"${kernels[$1]}"
	tar=$(linux_source_tar) || return
	key=$({ stat -c %Y "$tar" && "${how[1]}-gcc" --version && echo "${how[@]}" &&
		cat "$top/tests/qemu/kernels/$1.config" && declare -f fill_kernel kernel_make; } |
		sha256sum)
	printf '%s/kernel-%s-%.12s\n' "$cache" "$1" "$key"
}

make_kernel() { # NAME
	local path aside status=0 how
	read -ra how <<<"${kernels[$1]}"
	path=$(kernel_path "$1") || return
	[ -d "$path" ] && touch "$path" && return
	find "$cache" -mindepth 1 -maxdepth 1 -name "kernel-$1-*" -mtime +30 -exec rm -rf {} +
	aside=$(mktemp -d "$cache/kernel-$1-.XXXXXX") || return
	say "kernel $1: building it, once; 5 to 20 minutes on two processors"
	{
		quietly "$top/build/kernel-$1.log" fill_kernel "$1" "$aside/work" "$aside/root" \
			"${how[@]}" &&
			{ mv -T "$aside/root" "$path" 2>/dev/null || [ -d "$path" ]; }
	} 3>&1 || status=1
	rm -rf "$aside"
	return "$status"
}
