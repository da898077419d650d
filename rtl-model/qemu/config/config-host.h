/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What QEMU's configure finds on Debian amd64, as far as the headers look at it. CONFIG_INT128
 * decides the alignment of MemoryRegion. */
#define CONFIG_LINUX 1
#define CONFIG_POSIX 1
#define CONFIG_MADVISE 1
#define CONFIG_POSIX_MADVISE 1
#define CONFIG_SEM_TIMEDWAIT 1
#define HOST_X86_64 1
#define CONFIG_TCG 1
#define CONFIG_IOVEC 1
#define CONFIG_INT128 1
#define CONFIG_INT128_TYPE 1
#define CONFIG_ATOMIC64 1
#define CONFIG_BYTESWAP_H 1
#define CONFIG_SYSMACROS 1
