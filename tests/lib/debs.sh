# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Debian packages of the tree as it stands, for this machine and cross-built, in build/debs/ARCH.

debs_key() { # ARCH
	{
		machine_file "$1" && guest_path
		tar -C "$top" -c --sort=name --mtime=@0 --owner=0 --group=0 --exclude-vcs --exclude='./build*' \
			--exclude=./tests .
	} | sha256sum
}

# The build itself, in a copy: it writes next to the source. Cross builds use the lanes' libraries
# instead of packages of another architecture, which the machine would have to know.
build_debs() { # ARCH FOLDER
	local arch=$1 folder=$2 triplet=${lane_triplets[$1]:-} sysroot options=(-us -uc -d)
	rm -rf "$folder" && mkdir -p "$folder/source" &&
		tar -C "$top" -c --exclude-vcs --exclude='./build*' --exclude=./tests . |
		tar -C "$folder/source" -x || return
	# debhelper builds with a home of its own.
	local -x DEB_BUILD_OPTIONS="nocheck noautodbgsym" CCACHE_DIR
	CCACHE_DIR=$(ccache -k cache_dir)
	if [ -n "$triplet" ]; then
		# shellcheck disable=SC2086 # a list of names
		sysroot=$(sysroot_path "$arch" ${packages[foreign]})
		machine_file "$arch" >"$folder/machine.ini"
		local -x DH_MESON_CROSS_FILE=$folder/machine.ini DPKG_ADMINDIR=$sysroot/var/lib/dpkg \
			SHLIBDEPS="-l$sysroot/lib/$triplet:$sysroot/usr/lib/$triplet"
		options+=(-B -a "$arch" "-Pcross,nocheck")
	else
		options+=(-b "-Ppkg.triovit.qemu,nocheck")
		local -x QEMU_HEADERS
		QEMU_HEADERS=$(guest_path)/qemu
	fi
	(cd "$folder/source" && limit 900 dpkg-buildpackage "${options[@]}")
}

# make_debs ARCH: anew if what they are made of has changed.
make_debs() {
	local arch=$1 folder=$top/build/debs/$1 key
	if [ -n "${lane_triplets[$arch]:-}" ]; then
		# shellcheck disable=SC2086 # a list of names
		make_sysroot "$arch" "${lane_triplets[$arch]}" ${packages[foreign]} || return
	else
		make_guest || return
	fi
	key=$(debs_key "$arch")
	[ "$key" != "$(cat "$folder/key" 2>/dev/null)" ] || return 0
	quietly "$top/build/debs-$arch.log" build_debs "$arch" "$folder" && rm -rf "$folder/source" &&
		printf '%s\n' "$key" >"$folder/key"
}
