/* SPDX-License-Identifier: MIT */
/* The layouts of the user API: those below on every machine that this is compiled for, 32 and 64
 * bits, without a hole that nobody would check. */
#include <stddef.h>

#include <drm.h>

/* On 32-bit x86 a 64-bit field is aligned to 4 bytes: no hole here means none there, as long as
 * each field lies at a multiple of its own size. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#include <drm/triovit_accel.h>
#pragma GCC diagnostic pop

#include <triovit/regs.h>

#include "tests/unit/unit.h"

#define AT(type, field, at)                                                                        \
	_Static_assert(offsetof(struct drm_triovit_##type, field) == (at) &&                       \
			       (at) % sizeof(((struct drm_triovit_##type *)0)->field) == 0,        \
		       #type "." #field)
#define SIZE(type, size) _Static_assert(sizeof(struct drm_triovit_##type) == (size), #type)

AT(get_param, param, 0);
AT(get_param, value, 8);
SIZE(get_param, 16);

AT(bo_create, size, 0);
AT(bo_create, flags, 8);
AT(bo_create, handle, 12);
SIZE(bo_create, 16);

AT(bo_info, handle, 0);
AT(bo_info, flags, 4);
AT(bo_info, size, 8);
AT(bo_info, offset, 16);
SIZE(bo_info, 24);

AT(bo_prep, handle, 0);
AT(bo_prep, access, 4);
AT(bo_prep, timeout_ns, 8);
SIZE(bo_prep, 16);

AT(bo_fini, handle, 0);
AT(bo_fini, access, 4);
SIZE(bo_fini, 8);

AT(segment, handle, 0);
AT(segment, rights, 4);
AT(segment, offset, 8);
AT(segment, size, 16);
SIZE(segment, 24);

AT(submit, segments, 0);
AT(submit, segment_count, 8);
AT(submit, segment_size, 12);
AT(submit, in_syncobjs, 16);
AT(submit, out_syncobjs, 24);
AT(submit, in_count, 32);
AT(submit, out_count, 36);
AT(submit, priority, 40);
AT(submit, flags, 44);
AT(submit, deadline_ns, 48);
AT(submit, job, 56);
SIZE(submit, 64);

AT(record, status, 0);
AT(record, executed, 20);
AT(record, start, 24);
AT(record, stall_operands, 80);
SIZE(record, 88);

AT(wait, job, 0);
AT(wait, timeout_ns, 8);
_Static_assert(offsetof(struct drm_triovit_wait, record) == 16, "wait.record");
SIZE(wait, 104);

AT(counters, cycles, 0);
AT(counters, memory, 40);
SIZE(counters, 48);

/* The number of a call has its size in it, so a structure that grows gets another number, and both
 * are taken. */
START_TEST(calls_have_their_numbers)
{
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_GET_PARAM, 0xc0106440);
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_BO_CREATE, 0xc0106441);
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_BO_INFO, 0xc0186442);
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_BO_PREP, 0x40106443);
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_BO_FINI, 0x40086444);
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_SUBMIT, 0xc0406445);
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_WAIT, 0xc0686446);
	ck_assert_uint_eq(DRM_IOCTL_TRIOVIT_COUNTERS, 0x80306447);
}
END_TEST

START_TEST(rights_and_segments_are_the_hardwares)
{
	ck_assert_uint_eq(DRM_TRIOVIT_SEGMENT_READ, TV_SEGMENT_READ);
	ck_assert_uint_eq(DRM_TRIOVIT_SEGMENT_WRITE, TV_SEGMENT_WRITE);
	ck_assert_uint_eq(DRM_TRIOVIT_SEGMENTS, TV_SEGMENT_COUNT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("uapi");
	TCase *tcase = tcase_create("numbers");

	tcase_add_test(tcase, calls_have_their_numbers);
	tcase_add_test(tcase, rights_and_segments_are_the_hardwares);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
