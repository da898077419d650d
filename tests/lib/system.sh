# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Debian for a guest, as tests/system/root.py makes it: one file for a kernel to unpack, kept as the
# guests' other parts are.

# What boots, and what triovit's packages depend on.
system_packages="systemd-sysv udev dbus polkitd kmod libnss-systemd libdrm2 libjansson4
	libjpeg62-turbo libnettle8 libopenblas0 libpng16-16"

fill_system() { # FOLDER
	apt_configuration arm64 "$1/apt" || return
	limit 600 apt-get -q -c "$1/apt/apt.conf" update || echo "trying with what there is"
	# shellcheck disable=SC2086 # a list of names
	limit 1800 apt-get -q -y -c "$1/apt/apt.conf" --no-install-recommends --download-only \
		install '?essential' $system_packages || return
	python3 "$top/tests/system/root.py" "$1/root" "$1"/apt/cache/archives/*.deb
}

# system_path: where it is, or will be.
system_path() {
	local key
	key=$({ debian_codename && cat "$top/tests/lib/system.sh" "$top/tests/system/root.py" \
		"$top/tests/qemu/initial.py"; } | sha256sum)
	printf '%s/system-%.12s.cpio\n' "$cache" "$key"
}

make_system() {
	local path aside status=0
	path=$(system_path)
	[ -e "$path" ] && touch "$path" && return
	mkdir -p "$cache" || return
	find "$cache" -mindepth 1 -maxdepth 1 -name 'system-*' -mtime +30 -exec rm -rf {} +
	aside=$(mktemp -d "$cache/system-.XXXXXX") || return
	quietly "$top/build/system.log" fill_system "$aside" && mv "$aside/root" "$path" || status=1
	rm -rf "$aside"
	return $status
}
