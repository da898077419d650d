#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# system.sh PLUGIN KERNEL MODULE DTB JOB MODEL SIM: a whole system in a guest, see system.py, with
# what has to be downloaded and built for it. TAP.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lib/shared.sh
. "$here/../lib/shared.sh"
# shellcheck source=tests/lib/packages.sh
. "$top/tests/lib/packages.sh"
# shellcheck source=tests/lib/lanes.sh
. "$top/tests/lib/lanes.sh"
# shellcheck source=tests/lib/debs.sh
. "$top/tests/lib/debs.sh"
# shellcheck source=tests/lib/system.sh
. "$top/tests/lib/system.sh"

missing=$(missing_packages debs | paste -sd ' ')
if [ -n "$missing" ]; then
	echo "1..0 # SKIP not installed: $missing"
	exit
fi
if ! make_system >&2; then
	echo "1..0 # SKIP Debian's packages could not be downloaded"
	exit
fi
make_debs arm64 >&2 || die "there are no packages"
exec python3 "$here/system.py" "${@:1:3}" "$(system_path)" "${@:4}" "$top/build/debs/arm64"
