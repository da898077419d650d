# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A small Debian of this machine's release and architecture, in which nothing was ever built: with
# what our packages depend on, and nothing of them. Made once, kept until it was of no use for a month.
root_packages=dbus,libdrm2,libjansson4,libjpeg62-turbo,libnettle8,libopenblas0,libpng16-16,libsystemd0,libudev1,systemd

fill_root() { # FOLDER
	local release uri
	release=$(debian_codename)
	uri=$(debian_sources | sed -n "s|.* \\([^ ]*\\) $release main\$|\\1|p" | head -n 1)
	[ -n "$uri" ] || return
	limit 1800 debootstrap --variant=minbase --include="$root_packages" "$release" "$1" "$uri" &&
		rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*
}

root_path() {
	local key
	key=$({ debian_codename && declare -p root_packages && declare -f fill_root; } | sha256sum)
	printf '%s/root-%.12s\n' "$cache" "$key"
}

make_root() {
	local path aside status=0
	path=$(root_path)
	[ -d "$path" ] && touch "$path" && return
	mkdir -p "$cache" || return
	find "$cache" -mindepth 1 -maxdepth 1 -name 'root-*' -mtime +30 -exec rm -rf {} +
	aside=$(mktemp -d "$cache/root-.XXXXXX") && mkdir "$aside/root" || return
	quietly "$top/build/root.log" fill_root "$aside/root" && touch "$aside/root" &&
		{ mv -T "$aside/root" "$path" 2>/dev/null || [ -d "$path" ]; } || status=1
	rm -rf "$aside"
	return "$status"
}
