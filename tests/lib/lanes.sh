# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A lane is one way to build the tree, in build/LANE: a compiler, a machine to build for, options.
# shellcheck source=tests/cross/sysroot.sh
. "$top/tests/cross/sysroot.sh"
# shellcheck source=tests/lib/guest.sh
. "$top/tests/lib/guest.sh"
# shellcheck source=tests/lib/kernels.sh
. "$top/tests/lib/kernels.sh"
# shellcheck source=tests/lib/newer.sh
. "$top/tests/lib/newer.sh"

declare -A lane_triplets=([arm64]=aarch64-linux-gnu [armhf]=arm-linux-gnueabihf)

# Checkouts share what ccache keeps: paths below the tree count relative to it, and the folder of
# the build is no part of the key (a debugger asks for it in objects of another checkout).
export CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1

# meson's description of the machine that LANE builds for.
machine_file() {
	local lane=$1 triplet=${lane_triplets[$1]:-} sysroot ccache='' family cpu qemu
	command -v ccache >/dev/null && ccache="'ccache', "
	case $lane in
	clang)
		printf "[binaries]\nc = [%s'clang']\n" "$ccache"
		return
		;;
	arm64) family=aarch64 cpu=armv8-a qemu=qemu-aarch64-static ;;
	armhf) family=arm cpu=armv7 qemu=qemu-arm-static ;;
	*)
		printf "[binaries]\nc = [%s'gcc']\n" "$ccache"
		return
		;;
	esac
	# shellcheck disable=SC2086 # a list of names
	sysroot=$(sysroot_path "$lane" ${packages[foreign]})
	cat <<-END
		[binaries]
		c = [$ccache'$triplet-gcc', '--sysroot=$sysroot']
		ar = '$triplet-ar'
		strip = '$triplet-strip'
		pkgconfig = 'pkg-config'
		exe_wrapper = ['$qemu', '-L', '$sysroot']

		[properties]
		needs_exe_wrapper = true
		sys_root = '$sysroot'
		pkg_config_libdir = ['$sysroot/usr/lib/$triplet/pkgconfig', '$sysroot/usr/share/pkgconfig']

		[host_machine]
		system = 'linux'
		cpu_family = '$family'
		cpu = '$cpu'
		endian = 'little'
	END
}

# configure_lane LANE: anew if anything that the configuration rests on has changed; meson itself
# follows changes of the meson.build files.
configure_lane() {
	local lane=$1 folder=$top/build/$1 file=$top/build/$1.ini how stamp
	machine_file "$lane" >"$file"
	# shellcheck disable=SC2086 # a list of names
	case $lane in
	clang) how=(--native-file "$file" "-Db_sanitize=address,undefined" -Dfuzz=true) ;;
	arm64 | armhf) how=(--cross-file "$file") ;;
	demo) how=(--native-file "$file" -Dtests=false) ;;
	guest) how=(--native-file "$file" -Dtests=false "-Dqemu_headers=$(guest_path)/qemu"
		"-Dguest=$(guest_path)" "-Dguest_libraries=$(sysroot_path arm64 ${packages[foreign]})"
		"-Dnewer_qemu=$(have_newer backports_qemu)" "-Dnewer_linux=$(have_newer sid)") ;;
	zynq) how=(--native-file "$file" -Dtests=false "-Dqemu_headers=$(guest_path)/qemu"
		"-Dguest=$(guest_path)" "-Dguest_libraries=$(sysroot_path armhf ${packages[foreign]})"
		-Dguest_machine=zynq "-Dguest_kernel=$(kernel_path zynq)") ;;
	debug) how=(--native-file "$file" -Dtests=false "-Dqemu_headers=$(guest_path)/qemu"
		"-Dguest=$(guest_path)" "-Dguest_libraries=$(sysroot_path arm64 ${packages[foreign]})"
		-Dguest_machine=debug "-Dguest_kernel=$(kernel_path debug)") ;;
	*) how=(--native-file "$file") ;;
	esac
	stamp=$(cat "$file" && printf '%s\n' "${how[@]}" && meson --version &&
		"${lane_triplets[$lane]:+${lane_triplets[$lane]}-}gcc" --version | head -n 1)
	if [ ! -e "$folder/build.ninja" ] || [ "$stamp" != "$(cat "$folder/.stamp" 2>/dev/null)" ]; then
		say "$lane: configuring"
		rm -rf "$folder"
		quietly "$folder.log" limit 600 meson setup "${how[@]}" "$folder" "$top" || return
		printf '%s\n' "$stamp" >"$folder/.stamp"
	fi
}

build_lane() {
	say "$1: building"
	quietly "$top/build/$1.log" limit 1800 ninja -C "$top/build/$1"
}
