# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Debian's source of Linux, downloaded once: trees of boards, bindings, scripts.

linux_source_package="linux-source-6.12"

fetch_linux_source() { # FOLDER
	# The package has no architecture; its index has this machine's.
	apt_configuration "$(dpkg --print-architecture)" "$1/apt" || return
	limit 600 apt-get -q -c "$1/apt/apt.conf" update || echo "trying with what there is"
	(cd "$1" && limit 1800 apt-get -q -c "$1/apt/apt.conf" download "$linux_source_package") &&
		dpkg-deb --fsys-tarfile "$1/$linux_source_package"_*.deb |
		tar -x -C "$1" --strip-components=3 "./usr/src/$linux_source_package.tar.xz"
}

# linux_source_tar: downloads it unless it is in the cache, and prints its path.
linux_source_tar() {
	local path=$cache/$linux_source_package.tar.xz aside status=0
	if [ ! -e "$path" ]; then
		mkdir -p "$cache" && aside=$(mktemp -d "$cache/linux-source.XXXXXX") || return
		quietly "$top/build/linux-source.log" fetch_linux_source "$aside" >&2 &&
			mv "$aside/$linux_source_package.tar.xz" "$path" || status=1
		rm -rf "$aside"
		[ "$status" -eq 0 ] || return 1
	fi
	echo "$path"
}

# linux_source_part NAME PATTERN...: a folder with these files of it, which is made once.
linux_source_part() {
	local name=$1 tar path aside
	shift
	tar=$(linux_source_tar) || return
	path=$cache/$linux_source_package-$name-$(printf '%s\n' "$@" "$(stat -c %Y "$tar")" |
		sha256sum | head -c 12)
	if [ ! -d "$path" ]; then
		aside=$(mktemp -d "$cache/linux-source.XXXXXX") || return
		if ! quietly "$top/build/linux-source.log" tar -C "$aside" --strip-components=1 \
			-xJf "$tar" --wildcards "${@/#/*/}" >&2; then
			rm -rf "$aside"
			return 1
		fi
		mv -T "$aside" "$path" 2>/dev/null || rm -rf "$aside"
	fi
	echo "$path"
}
