#!/bin/sh
# SPDX-License-Identifier: MIT
# inside.sh ROOT FOLDER COMMAND...: runs a command in another root file system, with FOLDER as /mnt;
# nobody but the command sees that.
# shellcheck disable=SC2016 # the variables are the inner shell's
exec unshare --map-root-user --mount sh -ec 'root=$1 folder=$2
	shift 2
	mount --rbind /dev "$root/dev"
	mount --rbind "$folder" "$root/mnt"
	TMPDIR=/mnt exec chroot "$root" "$@"' sh "$@"
