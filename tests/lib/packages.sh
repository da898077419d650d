# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Debian packages by what needs them.
declare -A packages=(
	[base]="python3"
	[build]="gcc libc6-dev meson ninja-build pkg-config ccache libjansson-dev nettle-dev
		libpng-dev libjpeg62-turbo-dev libopenblas-dev libsystemd-dev libdrm-dev libudev-dev"
	[bus]="dbus-daemon"
	[demo]="python3-pil fonts-dejavu-core"
	# systemd: busctl and systemd-analyze, nothing of it runs.
	[test]="check dbus-daemon systemd python3-dbus python3-dbusmock"
	[browser]="chromium"
	[clang]="clang libclang-rt-14-dev llvm"
	[arm64]="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
	[armhf]="gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user-static"
	[guest]="qemu-system-arm libglib2.0-dev dpkg-dev xz-utils device-tree-compiler make bc"
	[kernels]="flex bison bc make xz-utils cpp"
	# What checks the driver's source.
	[kernel]="sparse clang perl dwarves"
	[debs]="dpkg-dev debhelper dh-dkms"
	[packages]="lintian debootstrap dkms"
	[style]="shellcheck"
	# Peers of tests/bench/functional; nothing else needs them.
	[bench]="libdnnl-dev libxnnpack-dev libpthreadpool-dev python3-torch"
	[dts]="cpp device-tree-compiler dt-schema"
	# In the sysroots of the cross builds, see tests/cross/sysroot.sh.
	[foreign]="libc6-dev check libjansson-dev nettle-dev libpng-dev libjpeg62-turbo-dev
		libopenblas-dev zlib1g-dev libsystemd-dev libdrm-dev libudev-dev"
)

# missing_packages GROUP...: those of the groups that are not installed, one a line.
missing_packages() {
	local group
	for group; do
		# shellcheck disable=SC2086 # a list of names
		printf '%s\n' ${packages[$group]}
	done | sort -u | comm -23 - <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
		sed -n 's/^installed //p' | sort -u)
}

# As root: installs what is missing of the groups in one go. Elsewhere, or if it fails, the callers
# find out with missing_packages what they cannot have.
install_packages() {
	local missing log=$top/build/packages.log
	local apt=(apt-get -q -y -o Acquire::Retries=5 -o Acquire::http::Timeout=60
		-o Acquire::https::Timeout=60 -o DPkg::Lock::Timeout=300)

	command -v dpkg-query >/dev/null || die "this needs Debian 12 or a relative of it (no dpkg-query)"
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ] || [ -n "${TRIOVIT_NO_INSTALL:-}" ]; then
		say "not installed: ${missing[*]}"
		say "install with: apt-get install --no-install-recommends ${missing[*]}"
		return 1
	fi
	say "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# One source of several may fail; what is needed may be in the others.
	quietly "$log" limit 600 "${apt[@]}" update || say "trying with what there is"
	# Only the downloads have a limit: dpkg must not be killed half-way.
	apt+=(install --no-install-recommends)
	quietly "$log" limit 1800 "${apt[@]}" --download-only "${missing[@]}" &&
		quietly "$log" "${apt[@]}" "${missing[@]}"
}

# require_packages GROUP...: ends the run where there is no doing without.
require_packages() {
	local missing
	missing=$(missing_packages "$@" | paste -sd ' ')
	[ -z "$missing" ] || die "cannot go on without these packages: $missing"
}
