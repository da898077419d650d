# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What tests in a virtual machine need: Debian's kernels for arm64 with the headers to build modules
# for them, the headers of those for armhf, busyboxes, and QEMU's headers of the version that is
# installed here. Nothing of it is installed. A folder is prepared once and kept until it was of no use for a month.

# A private apt for ARCH with the suites of guests and sources in them.
guest_apt() { # ARCH FOLDER
	apt_configuration "$1" "$2" || return
	sed "/ $(debian_codename) main\$/!d; s/ main\$/-backports main/" "$2/sources.list" >"$2/more" &&
		cat "$2/more" >>"$2/sources.list"
	sed 's/^deb /deb-src /' "$2/sources.list" >"$2/more" && cat "$2/more" >>"$2/sources.list"
	limit 600 apt-get -q -c "$2/apt.conf" update || echo "trying with what there is"
}

# What a package of the foreign suites depends on, by its newest version that matches.
guest_depends() { # CONFIGURATION PACKAGE PATTERN
	apt-cache -c "$1" show "$2" | sed -n "s/^Depends: \\($3[^ ,]*\\).*/\\1/p" | head -n 1
}

# That of amd64 reads modules for armhf, but takes their tables of devices for those of a 64-bit
# machine. The one that is right is a program for armhf.
replace_modpost() { # WORK FOLDER KBUILD
	local deb modpost
	mkdir armhf "$2/armhf" && cd armhf || return
	limit 600 apt-get -q -c "$1/armhf/apt.conf" download "$3" libc6 || return
	for deb in *.deb; do
		dpkg-deb -x "$deb" "$2/armhf" || return
	done
	modpost=usr/lib/$3/scripts/mod/modpost
	cat >"$2/$modpost" <<-END
		#!/bin/sh
		exec qemu-arm-static -L "$2/armhf" "$2/armhf/$modpost.real-lsb-32" "\$@"
	END
}

# A kernel and all that builds modules for it, unpacked to FOLDER; for armhf without the kernel: none
# of Debian's has a machine that an accelerator would be in.
fetch_kernel() { # WORK FOLDER SERIES ARCH FLAVOUR
	local work=$1 folder=$2 series=$3 arch=$4 flavour=$5 image release kbuild deb wanted
	image=$(guest_depends "$work/$arch/apt.conf" "linux-image-$flavour" "linux-image-$series\\.")
	release=${image#linux-image-}
	[ -n "$image" ] || return
	wanted=("linux-headers-$release" "linux-headers-${release%-"$flavour"}-common")
	[ "$arch" = armhf ] || wanted+=("$image")
	mkdir -p "$work/$series" "$folder" && cd "$work/$series" || return
	limit 1800 apt-get -q -c "$work/$arch/apt.conf" download "${wanted[@]}" || return
	kbuild=$(dpkg-deb -f "linux-headers-${release}_"*.deb Depends | grep -o 'linux-kbuild-[^ ,]*')
	# It runs here.
	limit 600 apt-get -q -c "$work/amd64/apt.conf" download "$kbuild" || return
	for deb in *.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --no-same-owner \
			--exclude='./usr/share' --exclude='vmlinux' --wildcards \
			--exclude='*/kernel/sound' --exclude='*/kernel/net' --exclude='*/kernel/fs' \
			--exclude='*/kernel/drivers/[!g]*' || return
	done
	[ "$arch" != armhf ] || replace_modpost "$work" "$folder" "$kbuild" || return
	# The one absolute path in it.
	sed -i "s|^include /|include $folder/|" "$folder/usr/src/linux-headers-$release/Makefile"
	ln -s "usr/src/linux-headers-$release" "$folder/build" && rm -rf "${work:?}/$series"
}

# Headers as the installed QEMU was built with: Debian's patches change layouts.
fetch_qemu() { # WORK FOLDER
	local version
	version=$(dpkg-query -W -f '${source:Version}' qemu-system-arm) && cd "$1" || return
	limit 1800 apt-get -q -c "$1/amd64/apt.conf" --download-only source "qemu=$version" || return
	dpkg-source --no-check -x qemu_*.dsc source || return
	mkdir "$2" "$2/generated" && mv source/include source/VERSION "$2" || return
	(cd source && python3 scripts/qapi-gen.py -o "$2/generated/qapi" -b qapi/qapi-schema.json)
}

fill_guest() { # FOLDER FINAL
	local work=$1/work folder=$1/root arch series
	mkdir -p "$work" "$folder" || return
	for arch in amd64 arm64 armhf; do
		guest_apt "$arch" "$work/$arch" || return
	done
	for arch in arm64 armhf; do
		(mkdir "$work/busybox" && cd "$work/busybox" &&
			limit 600 apt-get -q -c "$work/$arch/apt.conf" download busybox-static &&
			dpkg-deb -x busybox-static_*.deb . && mv bin/busybox "$folder/busybox-$arch" &&
			rm -rf "$work/busybox") || return
	done
	(fetch_qemu "$work" "$folder/qemu") || return
	for series in 6.1 6.12; do
		(fetch_kernel "$work" "$folder/linux-$series" "$series" arm64 arm64) &&
			(fetch_kernel "$work" "$folder/armmp-$series" "$series" armhf armmp) || return
	done
	# It moves to where it stays.
	sed -i "s|^include $folder/|include $2/|" "$folder"/*/build/Makefile
	sed -i "s|$folder/|$2/|g" "$folder"/armmp-*/usr/lib/*/scripts/mod/modpost
}

# guest_path: where it is, or will be. The name changes with QEMU's version and with this script.
guest_path() {
	local key
	key=$({ debian_codename && dpkg-query -W -f '${source:Version}' qemu-system-arm &&
		cat "$top/tests/lib/guest.sh"; } | sha256sum)
	printf '%s/guest-%.12s\n' "$cache" "$key"
}

make_guest() {
	local path aside status=0
	path=$(guest_path)
	[ -d "$path" ] && touch "$path" && return
	mkdir -p "$cache" || return
	find "$cache" -mindepth 1 -maxdepth 1 -name 'guest-*' -mtime +30 -exec rm -rf {} +
	aside=$(mktemp -d "$cache/guest-.XXXXXX") || return
	quietly "$top/build/guest.log" fill_guest "$aside" "$path" &&
		{ mv -T "$aside/root" "$path" 2>/dev/null || [ -d "$path" ]; } || status=1
	rm -rf "$aside"
	return $status
}
