# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What tests in a virtual machine need: Debian's kernels for arm64 with the headers to build modules
# for them, a busybox, and QEMU's headers of the version that is installed here. Nothing of it is
# installed. A folder is prepared once and kept until it was of no use for a month.

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

# A kernel and all that builds modules for it, unpacked to FOLDER.
fetch_kernel() { # WORK FOLDER SERIES
	local work=$1 folder=$2 image release kbuild deb
	image=$(guest_depends "$work/arm64/apt.conf" linux-image-arm64 "linux-image-$3\\.")
	release=${image#linux-image-}
	[ -n "$image" ] || return
	mkdir -p "$work/$3" "$folder" && cd "$work/$3" || return
	limit 1800 apt-get -q -c "$work/arm64/apt.conf" download "$image" "linux-headers-$release" \
		"linux-headers-${release%-arm64}-common" || return
	kbuild=$(dpkg-deb -f linux-headers-*-arm64_*.deb Depends | grep -o 'linux-kbuild-[^ ,]*')
	# It runs here.
	limit 600 apt-get -q -c "$work/amd64/apt.conf" download "$kbuild" || return
	for deb in *.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --no-same-owner \
			--exclude='./usr/share' --exclude='vmlinux' --wildcards \
			--exclude='*/kernel/sound' --exclude='*/kernel/net' --exclude='*/kernel/fs' \
			--exclude='*/kernel/drivers/[!g]*' || return
	done
	# The one absolute path in it.
	sed -i "s|^include /|include $folder/|" "$folder/usr/src/linux-headers-$release/Makefile"
	ln -s "usr/src/linux-headers-$release" "$folder/build" && rm -rf "${work:?}/$3"
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
	local work=$1/work folder=$1/root
	mkdir -p "$work" "$folder" || return
	guest_apt arm64 "$work/arm64" && guest_apt amd64 "$work/amd64" || return
	(cd "$work" && limit 600 apt-get -q -c "$work/arm64/apt.conf" download busybox-static &&
		dpkg-deb -x busybox-static_*.deb busybox) || return
	cp "$work/busybox/bin/busybox" "$folder/busybox" &&
		(fetch_qemu "$work" "$folder/qemu") && (fetch_kernel "$work" "$folder/linux-6.1" 6.1) &&
		(fetch_kernel "$work" "$folder/linux-6.12" 6.12) || return
	# It moves to where it stays.
	sed -i "s|^include $folder/|include $2/|" "$folder"/linux-*/build/Makefile
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
