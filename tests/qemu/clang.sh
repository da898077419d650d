#!/bin/sh
# SPDX-License-Identifier: MIT
# clang for a kernel that was configured for gcc: without the options that it does not know.
for argument; do
	shift
	case $argument in
	-fconserve-stack) ;;
	-ftrivial-auto-var-init=zero)
		set -- "$@" "$argument" \
			-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
		;;
	*) set -- "$@" "$argument" ;;
	esac
done
exec clang "$@" -Wno-unknown-warning-option
