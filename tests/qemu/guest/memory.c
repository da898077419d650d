// SPDX-License-Identifier: MIT
/* What the device says of itself, and its buffers. */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/qemu/guest/guest.h"

#define PAGE 4096ull

static void params(void)
{
#ifdef __arm__
	static const uint32_t target = TV_TARGET_ZYNQ7020, groups = 2, lanes = 16;
	static const uint32_t onchip = 384 << 10, khz = 100000, dram = 3200;
#else
	static const uint32_t target = TV_TARGET_ZCU102, groups = 16, lanes = 128;
	static const uint32_t onchip = 3 << 20, khz = 200000, dram = 12800;
#endif
	int fd = guest_open(), second = guest_try_open(GUEST_SECOND);
	struct drm_triovit_get_param args;

	check(second >= 0);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_CONTRACT), TV_CONTRACT_VERSION);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_TARGET), target);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_GROUPS), groups);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_EPILOGUE_LANES), lanes);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_ONCHIP), onchip);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_CLOCK), khz);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_DRAM), dram);
	check(guest_param(fd, DRM_TRIOVIT_PARAM_FILE_MEMORY) <
	      guest_param(fd, DRM_TRIOVIT_PARAM_MEMORY));
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_RECORDS), 256);
	check_int(guest_param(fd, DRM_TRIOVIT_PARAM_COHERENT), 0);
	check_int(guest_param(second, DRM_TRIOVIT_PARAM_COHERENT), guest_coherent(GUEST_SECOND));
	args = (struct drm_triovit_get_param){ .param = 11 };
	check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_GET_PARAM, &args), EINVAL);
	args = (struct drm_triovit_get_param){ .pad = 1 };
	check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_GET_PARAM, &args), EINVAL);
	args = (struct drm_triovit_get_param){ .value = 1 };
	check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_GET_PARAM, &args), EINVAL);
	check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_GET_PARAM, NULL), EFAULT);
	close(second);
	close(fd);
}

static void buffers(void)
{
	int fd = guest_open();

	for (uint32_t flags = 0; flags <= DRM_TRIOVIT_BO_CACHED; flags++) {
		struct guest_bo bo = guest_bo(fd, 2 * PAGE + 1, flags);
		struct drm_triovit_bo_info info = { .handle = bo.handle };

		check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO, &info), 0);
		check_int(info.size, 3 * PAGE);
		check_int(info.flags, flags);
		for (uint64_t i = 0; i < bo.size; i++)
			check(!bo.map[i]);
		memset(bo.map, 0x5a, bo.size);
		check(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, (off_t)info.offset) ==
		      MAP_FAILED);
		check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
			   (off_t)(info.offset + 3 * PAGE)) == MAP_FAILED);
		guest_bo_free(&bo);
		check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO,
					  &(struct drm_triovit_bo_info){ .handle = info.handle }),
			      ENOENT);
		/* Another of the same size: zeros again. */
		bo = guest_bo(fd, 3 * PAGE, flags);
		for (uint64_t i = 0; i < bo.size; i++)
			check(!bo.map[i]);
		guest_bo_free(&bo);
	}
	close(fd);
}

static void bad_buffers(void)
{
	static const struct drm_triovit_bo_create bad[] = {
		{ .size = 0 },
		{ .size = PAGE, .flags = 2 },
		{ .size = PAGE, .flags = 1u << 31 },
		{ .size = PAGE, .handle = 1 },
		{ .size = UINT64_MAX },
		{ .size = UINT64_MAX - PAGE + 1 },
	};
	static const struct drm_triovit_bo_info bad_info[] = {
		{ .handle = 1, .flags = 1 },
		{ .handle = 1, .size = 1 },
		{ .handle = 1, .offset = 1 },
	};
	int fd = guest_open(), other = guest_open();
	struct guest_bo bo = guest_bo(fd, PAGE, 0);

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct drm_triovit_bo_create args = bad[i];

		check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_CREATE, &args), EINVAL);
	}
	for (unsigned int i = 0; i < sizeof(bad_info) / sizeof(*bad_info); i++) {
		struct drm_triovit_bo_info args = bad_info[i];

		check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO, &args), EINVAL);
	}
	/* Of another file, of nobody. */
	check_refused(guest_ioctl(other, DRM_IOCTL_TRIOVIT_BO_INFO,
				  &(struct drm_triovit_bo_info){ .handle = bo.handle }),
		      ENOENT);
	check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO,
				  &(struct drm_triovit_bo_info){ .handle = 77 }),
		      ENOENT);
	close(other);
	close(fd);
}

static void access_checks(void)
{
	int fd = guest_open();
	struct guest_bo bo = guest_bo(fd, PAGE, DRM_TRIOVIT_BO_CACHED);

	for (uint32_t access = 0; access < 8; access++) {
		int expected = access >= 1 && access <= 3 ? 0 : -EINVAL;
		struct drm_triovit_bo_prep prep = { bo.handle, access, guest_after(0) };
		struct drm_triovit_bo_fini fini = { bo.handle, access };

		check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_PREP, &prep), expected);
		check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_FINI, &fini), expected);
		prep.handle = fini.handle = 77;
		expected = expected ? expected : -ENOENT;
		check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_PREP, &prep), expected);
		check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_FINI, &fini), expected);
	}
	close(fd);
}

static void limits(void)
{
	int fds[2] = { guest_open(), guest_open() };
	uint64_t file = guest_param(fds[0], DRM_TRIOVIT_PARAM_FILE_MEMORY);
	uint64_t all = guest_param(fds[0], DRM_TRIOVIT_PARAM_MEMORY), step = 4 << 20, got = 0;
	struct drm_triovit_counters counters;
	uint32_t handle;

	check_refused(guest_try_bo(fds[0], file + 1, 0, &handle), ENOMEM);
	check_refused(guest_try_bo(fds[0], 1ull << 40, 0, &handle), ENOMEM);
	while (!guest_try_bo(fds[0], step, got / step & 1, &handle))
		got += step;
	/* The pool may be in pieces; the limit is never passed. */
	check(got <= file && got > file / 2);
	check_int(guest_ioctl(fds[0], DRM_IOCTL_TRIOVIT_COUNTERS, &counters), 0);
	check_int(counters.memory, got);
	while (!guest_try_bo(fds[1], step, 0, &handle))
		got += step;
	check(got <= all);
	close(fds[0]);
	close(fds[1]);
	fds[0] = guest_open();
	check_int(guest_ioctl(fds[0], DRM_IOCTL_TRIOVIT_COUNTERS, &counters), 0);
	check_int(counters.memory, 0);
	close(fds[0]);
}

const struct guest_test guest_memory_tests[] = {
	{ "parameters", params },
	{ "buffers: both kinds, zeros, mapped to their ends", buffers },
	{ "buffers: each field wrong in turn, handles of others", bad_buffers },
	{ "buffers: prepare and finish, each field wrong in turn", access_checks },
	{ "buffers: limits", limits },
	{ NULL, NULL },
};
