#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the Debian packages, installs them where nothing was ever built, uses them and removes them,
# in TAP. Installing is done as root, in overlays that vanish with the mounts of this process.
set -uo pipefail

if [ "$(id -u)" -eq 0 ] && [ -z "${TRIOVIT_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
	TRIOVIT_MOUNTS=1 exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lib/shared.sh
. "$here/lib/shared.sh"
# shellcheck source=tests/lib/packages.sh
. "$here/lib/packages.sh"
# shellcheck source=tests/lib/lanes.sh
. "$here/lib/lanes.sh"
# shellcheck source=tests/lib/debs.sh
. "$here/lib/debs.sh"
# shellcheck source=tests/lib/root.sh
. "$here/lib/root.sh"
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"

debs=$top/build/debs
work=$(mktemp -d) || exit
trap 'umount -R "$work" 2>/dev/null; rm -rf "$work"' EXIT

# mount_over LOWER: a root whose changes are in memory, with the tree in /mnt.
mount_over() {
	umount -R "$work" 2>/dev/null
	root=$work/root
	mount -t tmpfs none "$work" && mkdir "$work"/{upper,work,root} &&
		mount -t overlay -o "lowerdir=$1,upperdir=$work/upper,workdir=$work/work" none "$root" &&
		mount -t proc none "$root/proc" && mount --rbind /dev "$root/dev" &&
		mount --bind "$top" "$root/mnt"
}

inside() {
	limit 600 chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
		DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

# Prints what was said only if the command fails.
silently() {
	local said
	said=$("$@" 2>&1) || {
		printf '%s\n' "$said"
		echo "failed: $*"
	}
}

# --- what is built -----------------------------------------------------------

# files_of PACKAGE.DEB...: without what each package has for itself.
files_of() {
	local deb
	for deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -n 's|^\.\(.*[^/]\)$|\1|p'
	done | grep -Ev '^/usr/share/doc/[^/]*/(changelog\.gz|copyright)$' | sort
}

# depends_of PACKAGE.DEB: names alone.
depends_of() {
	dpkg-deb -f "$1" Depends | tr ',' '\n' | sed 's/(.*//; s/ *$//; s/^ *//'
}

all_arch_packages="libtriovit-dev libtriovit1 triovit-tools triovitd"

for arch in amd64 arm64 armhf; do
	made=0
	make_debs "$arch" >"$work/said" 2>&1 || made=$?
	check "$arch: packages are built" $made <"$work/said"
	[ $made -eq 0 ] || continue

	names=$all_arch_packages
	[ "$arch" = amd64 ] && names+=" triovit-dkms triovit-qemu"
	diff <(tr ' ' '\n' <<<"$names" | sort) \
		<(for deb in "$debs/$arch"/*.deb; do dpkg-deb -f "$deb" Package; done | sort) |
		check "$arch: no package is missing"

	limit 300 lintian --allow-root --fail-on error "$debs/$arch"/*.changes 2>&1 |
		check "$arch: lintian finds no errors and no warnings"

	[ "$arch" != amd64 ] || continue
	for name in $all_arch_packages; do
		diff <(files_of "$debs/amd64/$name"_*.deb | sed 's/x86_64-linux-gnu/TRIPLET/') \
			<(files_of "$debs/$arch/$name"_*.deb | sed "s/${lane_triplets[$arch]}/TRIPLET/")
		diff <(depends_of "$debs/amd64/$name"_*.deb) <(depends_of "$debs/$arch/$name"_*.deb)
	done | check "$arch: the files and what they depend on are those of amd64"
done

# As README.md says it is installed without packages; into a folder, with its own prefix.
# shellcheck disable=SC2317 # called by its name
plain_install() {
	[ -e "$top/build/packages/build.ninja" ] ||
		meson setup --buildtype=release -Dtests=false "$top/build/packages" "$top" || return
	rm -rf "$top/build/packages-root"
	ninja -C "$top/build/packages" &&
		meson install -C "$top/build/packages" --no-rebuild --destdir "$top/build/packages-root"
}
silently plain_install | check "meson installs into a folder"
diff <(files_of "$debs"/amd64/{libtriovit,triovit-tools,triovitd}*.deb |
	sed -E 's|^/lib/|/usr/lib/|; s|(/man/.*)\.gz$|\1|; s|^/etc|/usr/etc|
		s|doc/libtriovit-dev/|doc/triovit/|' | sort) \
	<(find "$top/build/packages-root" ! -type d -printf '/%P\n' | sed 's|^/usr/local|/usr|' | sort) |
	check "meson installs the files of the packages"
rm -rf "$top/build/packages-root"

{
	dpkg-deb -x "$debs"/amd64/triovit-qemu_*.deb "$top/build/packages-root"
	printf '{"execute": "%s"}\n' qmp_capabilities quit |
		limit 120 qemu-system-aarch64 -M xlnx-zcu102 -nodefaults -display none -S -qmp stdio \
			-plugin "$top"/build/packages-root/usr/lib/*/triovit/triovit-qemu.so \
			-device triovit,addr=0xa0000000,irq=89 >"$work/said" 2>&1 || cat "$work/said"
} | check "the QEMU that is installed loads the plugin"
rm -rf "$top/build/packages-root"

# --- where they are used -----------------------------------------------------

# state FILE: all of the root that may change: files with their contents and owners, users.
state() {
	inside sh -c 'find / -xdev \( -path /proc -o -path /dev -o -path /mnt -o -path /tmp \
			-o -path /run \) -prune -o -type f -printf "%p %m %U:%G\n" -o -printf "%p %m %U:%G %l\n" &&
		cat /etc/passwd /etc/group /etc/shadow' |
		grep -Ev '^/(var/lib/dpkg/(info|lock|status|triggers|updates|diversions|statoverride|alternatives)|var/log/(dpkg|alternatives)\.log|var/cache/(ldconfig|debconf)|etc/ld\.so\.cache|etc/(passwd|group|g?shadow|sub[ug]id)-|etc/\.pwd\.lock)' |
		sort
}

root_cases=(
	"they install with what they depend on"
	"the daemon's user and folders are there"
	"the tools quantize and run a network"
	"the daemon classifies for a session"
	"D-Bus starts the system's daemon, any user is served"
	"purged, they leave nothing"
)

# What the inner shells are given is theirs to expand.
# shellcheck disable=SC2016
use_packages() {
	local model=/tmp/model.safetensors demo=/mnt/demo before
	before=$(state)
	silently inside sh -c 'dpkg -i /mnt/build/debs/amd64/libtriovit*.deb \
		/mnt/build/debs/amd64/triovit-tools*.deb /mnt/build/debs/amd64/triovitd*.deb' |
		check "${root_cases[0]}"
	{
		silently inside getent passwd triovit
		silently inside getent group triovit
		silently inside test -d /etc/triovit/models -a -e /etc/triovit/triovitd.conf
	} | check "${root_cases[1]}"
	{
		silently inside triovit-quantize $demo/shapes16-b0.safetensors --calibrate $demo/images \
			--limit 16 --quiet -o $model
		silently inside sh -c "triovit-sim run $model $demo/images/ring_checker/*.png"
	} | check "${root_cases[2]}"
	silently inside dbus-run-session -- sh -ec '/usr/libexec/triovitd --session >/tmp/log 2>&1 &
		timeout 120 sh -c "until grep -q \"serves as\" /tmp/log; do sleep 0.1; done"
		triovitctl --session classify /tmp/model.safetensors /mnt/demo/images/ring_checker
		kill $!
		wait $!' | check "${root_cases[3]}"
	silently inside sh -ec 'mkdir -p /run/dbus
		dbus-daemon --system --fork
		setpriv --reuid nobody --regid nogroup --clear-groups \
			triovitctl classify /tmp/model.safetensors /mnt/demo/images/ring_checker
		[ "$(stat -c %U /proc/$(pidof triovitd))" = triovit ]' | check "${root_cases[4]}"
	silently inside sh -c 'kill $(pidof triovitd dbus-daemon)
		while pidof triovitd dbus-daemon; do sleep 0.1; done' >/dev/null
	{
		silently inside sh -c 'dpkg -P triovitd triovit-tools libtriovit-dev libtriovit1'
		diff <(echo "$before") <(state)
	} | check "${root_cases[5]}"
}

# As on this machine, whose compilers it needs, for kernels of arm64: those of PCs have no device trees.
dkms_cases=(
	"DKMS knows the driver"
	"DKMS builds the driver for Debian's kernels"
	"DKMS does not try kernels without device trees"
	"purged, the driver leaves nothing"
)

# shellcheck disable=SC2317 # called by its name
build_by_dkms() { # VERSION KERNEL
	local release
	release=$(basename "$(readlink "$2/build")") && release=${release#linux-headers-}
	cp -r --parents "$2/lib/modules/$release" "$root/tmp" &&
		mkdir -p "$root/lib/modules" && mv "$root/tmp/$2/lib/modules/$release" "$root/lib/modules" &&
		inside ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- dkms install "triovit/$1" -a arm64 \
			-k "$release" --kernelsourcedir "$2/build" &&
		inside sh -c "modinfo -F vermagic /lib/modules/$release/updates/dkms/triovit.ko*" |
		grep -q "^$release SMP"
}

use_dkms() {
	local version guest kernel
	version=$(dpkg-deb -f "$debs"/amd64/triovit-dkms_*.deb Version)
	guest=$(guest_path)
	mkdir -p "$root/$guest" && mount --bind "$guest" "$root/$guest"
	ln -sf aarch64-linux-gnu-strip "$root/usr/bin/strip"
	{
		silently inside sh -c 'dpkg -i /mnt/build/debs/amd64/triovit-dkms_*.deb'
		inside dkms status | grep -q "^triovit/$version: added" || inside dkms status
	} | check "${dkms_cases[0]}"
	for kernel in 6.1 6.12; do
		silently build_by_dkms "$version" "$guest/linux-$kernel"
	done | check "${dkms_cases[1]}"
	mkdir "$root/usr/src/none" && echo CONFIG_DRM_SCHED=m >"$root/usr/src/none/.config"
	{
		inside dkms build "triovit/$version" -k 6.1.0-1-none --kernelsourcedir /usr/src/none \
			>"$work/said" 2>&1
		[ $? -eq 77 ] || cat "$work/said"
	} | check "${dkms_cases[2]}"
	{
		silently inside dpkg -P triovit-dkms
		inside find /usr/src /lib/modules /var/lib/dkms -name '*triovit*'
	} | check "${dkms_cases[3]}"
}

no_root=
if [ -z "${TRIOVIT_MOUNTS:-}" ]; then
	no_root="only root may mount and install"
elif ! make_root >"$work/said"; then
	cat "$work/said" >&2
	no_root="no Debian root could be made, see build/root.log"
elif ! mount_over "$(root_path)" 2>/dev/null; then
	no_root="overlays cannot be mounted here"
fi
skip_all() { # REASON NAME...
	local name reason=$1
	shift
	for name; do
		skip "$name" "$reason"
	done
}

if [ -n "$no_root" ]; then
	skip_all "$no_root" "${root_cases[@]}" "${dkms_cases[@]}"
else
	use_packages
	if mount_over / 2>/dev/null; then
		use_dkms
	else
		skip_all "no overlay over this machine's root" "${dkms_cases[@]}"
	fi
fi

finish
