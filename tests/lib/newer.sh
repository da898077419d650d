# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is newer than this Debian: QEMU of its backports, and sid's kernel with sid's compiler. Neither
# is installed. Each is kept by itself for a month and then fetched anew; what cannot be had costs its
# own tests and no others.

# FOLDER/run is QEMU; the libraries are those of the one that is installed.
fetch_backports_qemu() { # WORK FOLDER
	local from
	from=$(debian_codename)-backports
	guest_apt amd64 "$1/apt" && cd "$1" || return
	limit 1800 apt-get -q -c apt/apt.conf download "qemu-system-arm/$from" || return
	# Layouts are those of the pristine source: tests/qemu/device.py would notice.
	limit 1800 apt-get -q -c apt/apt.conf --download-only --tar-only source "qemu/$from" || return
	mkdir source "$2/generated" && tar -x -C source --strip-components=1 -f qemu_*.orig.tar.* &&
		dpkg-deb --fsys-tarfile qemu-system-arm_*.deb |
		tar -x -O ./usr/bin/qemu-system-aarch64 >"$2/run" &&
		mv source/include source/VERSION "$2" || return
	chmod +x "$2/run" && "$2/run" --version || return
	(cd source && python3 scripts/qapi-gen.py -o "$2/generated/qapi" -b qapi/qapi-schema.json)
}

sid_apt() { # ARCH FOLDER
	apt_configuration "$1" "$2" || return
	sed "/ $(debian_codename) main\$/!d; s/ [^ ]* main\$/ sid main/" "$2/sources.list" \
		>"$2/more" && mv "$2/more" "$2/sources.list" &&
		limit 600 apt-get -q -c "$2/apt.conf" update
}

# FOLDER is a root file system with what builds modules, see tests/qemu/module.sh, the newest kernel's
# headers and, where fetch_kernel of guest.sh puts them too, its image and modules.
fetch_sid() { # WORK FOLDER
	local release deb
	sid_apt arm64 "$1/arm64" && sid_apt amd64 "$1/amd64" || return
	release=$(apt-cache -c "$1/arm64/apt.conf" depends linux-image-arm64 |
		sed -n 's/^ *Depends: linux-image-\([0-9].*\)/\1/p')
	[ -n "$release" ] || return
	mkdir "$1/debs" && cd "$1/debs" || return
	limit 1800 apt-get -q -c ../arm64/apt.conf download "linux-headers-$release" \
		"linux-headers-${release%-arm64}-common" "linux-binary-$release" \
		"linux-modules-$release" || return
	limit 1800 apt-get -q -y -c ../amd64/apt.conf --no-install-recommends --download-only \
		install "linux-kbuild-${release%-arm64}" gcc-aarch64-linux-gnu make dash coreutils \
		sed grep mawk findutils diffutils || return
	mkdir -p "$2"/usr/{bin,sbin,lib,lib64} "$2/dev" "$2/mnt" "$2/boot" &&
		ln -s usr/{bin,sbin,lib,lib64} "$2" || return
	for deb in *.deb ../amd64/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$2" --no-same-owner \
			--keep-directory-symlink --exclude='./usr/share' --wildcards \
			--exclude='*/kernel/sound' --exclude='*/kernel/net' \
			--exclude='*/kernel/fs' --exclude='*/kernel/drivers/[!g]*' \
			--exclude='*lto-dump*' --exclude='*/lib[alt]san*' || return
	done
	ln -s mawk "$2/usr/bin/awk" && ln -s "usr/src/linux-headers-$release" "$2/build" &&
		mv "$2/usr/lib/modules/$release/vmlinuz" "$2/boot/vmlinuz-$release" &&
		"$top/tests/qemu/inside.sh" "$2" "$1" make --version && touch "$2"
}

# newer_path NAME: where it is, or will be.
newer_path() {
	printf '%s/newer-%s-%.12s\n' "$cache" "$1" "$({ debian_codename && date +%Y-%m &&
		declare -f "fetch_$1" sid_apt guest_apt; } | sha256sum)"
}

# have_newer NAME: the same, nothing where it could not be had.
have_newer() {
	[ ! -d "$(newer_path "$1")" ] || newer_path "$1"
}

# make_newer NAME: by fetch_NAME.
make_newer() {
	local path aside status=0
	path=$(newer_path "$1")
	[ -d "$path" ] && return
	mkdir -p "$cache" || return
	find "$cache" -mindepth 1 -maxdepth 1 -name "newer-$1-*" -mtime +30 -exec rm -rf {} +
	aside=$(mktemp -d "$cache/newer-$1-.XXXXXX") && mkdir "$aside/work" "$aside/root" || return
	(quietly "$top/build/newer-$1.log" "fetch_$1" "$aside/work" "$aside/root") &&
		{ mv -T "$aside/root" "$path" 2>/dev/null || [ -d "$path" ]; } || status=1
	rm -rf "$aside"
	return "$status"
}
