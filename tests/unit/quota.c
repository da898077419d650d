/* SPDX-License-Identifier: MIT */
/* Who may hold how much. */
#include <string.h>

#include "daemon/quota.h"
#include "tests/unit/unit.h"

static struct tv_quota *new_quota(uint64_t user, uint64_t total)
{
	struct tv_limits limits;
	struct tv_quota *quota;

	for (size_t i = 0; i < TV_RESOURCE_COUNT; i++) {
		limits.user[i] = user + i;
		limits.total[i] = total + i;
	}
	ck_assert_int_eq(tv_quota_new(&limits, &quota), 0);
	return quota;
}

/* Each resource has limits of its own, which errors call by name. */
START_TEST(limits_are_named)
{
	static const char *const names[][2] = {
		[TV_RESOURCE_MODELS] = { "MaxModelsPerUser", "MaxModels" },
		[TV_RESOURCE_SESSIONS] = { "MaxSessionsPerUser", "MaxSessions" },
		[TV_RESOURCE_JOBS] = { "MaxJobsPerUser", "MaxJobs" },
		[TV_RESOURCE_BYTES] = { "MaxBytesPerUser", "MaxBytes" },
		[TV_RESOURCE_CONNECTIONS] = { "MaxConnectionsPerUser", "MaxConnections" },
		[TV_RESOURCE_LOADS] = { "MaxLoadsPerUser", "MaxLoads" },
	};
	enum tv_resource resource = (enum tv_resource)_i;
	_cleanup_(tv_quota_freep) struct tv_quota *quota = new_quota(20, 50);
	uint64_t user = 20 + (uint64_t)_i, total = 50 + (uint64_t)_i;
	struct tv_error error = { 0 };
	char expected[64];

	ck_assert_uint_eq(TV_ARRAY_SIZE(names), TV_RESOURCE_COUNT);
	tv_assert_ok(tv_quota_charge(quota, 1000, resource, user, &error), error);
	ck_assert_int_eq(tv_quota_charge(quota, 1000, resource, 1, &error), -EDQUOT);
	snprintf(expected, sizeof(expected), "limit %s (%ju) reached", names[_i][0],
		 (uintmax_t)user);
	ck_assert_str_eq(error.text, expected);

	memset(&error, 0, sizeof(error));
	tv_assert_ok(tv_quota_charge(quota, 1001, resource, user, &error), error);
	ck_assert_int_eq(tv_quota_charge(quota, 0, resource, total - 2 * user + 1, &error),
			 -EDQUOT);
	snprintf(expected, sizeof(expected), "limit %s (%ju) reached", names[_i][1],
		 (uintmax_t)total);
	ck_assert_str_eq(error.text, expected);
	ck_assert_uint_eq(tv_quota_total(quota, resource), 2 * user);

	/* No other resource is concerned. */
	memset(&error, 0, sizeof(error));
	for (size_t i = 0; i < TV_RESOURCE_COUNT; i++)
		if (i != resource) {
			ck_assert_uint_eq(tv_quota_used(quota, 1000, (enum tv_resource)i), 0);
			tv_assert_ok(tv_quota_charge(quota, 1000, (enum tv_resource)i, 1, &error),
				     error);
			tv_quota_release(quota, 1000, (enum tv_resource)i, 1);
		}
	tv_quota_release(quota, 1000, resource, user);
	tv_quota_release(quota, 1001, resource, user);
}
END_TEST

/* No amount is so large that it fits again. */
START_TEST(amounts_do_not_wrap)
{
	_cleanup_(tv_quota_freep) struct tv_quota *quota = new_quota(100, 1000);

	ck_assert_int_eq(tv_quota_charge(quota, 1, TV_RESOURCE_BYTES, UINT64_MAX, NULL), -EDQUOT);
	ck_assert_int_eq(tv_quota_charge(quota, 1, TV_RESOURCE_BYTES, 50, NULL), 0);
	ck_assert_int_eq(tv_quota_charge(quota, 1, TV_RESOURCE_BYTES, UINT64_MAX - 10, NULL),
			 -EDQUOT);
	ck_assert_uint_eq(tv_quota_used(quota, 1, TV_RESOURCE_BYTES), 50);
	tv_quota_release(quota, 1, TV_RESOURCE_BYTES, 50);

	/* Nothing at all may always be held, and needs no account. */
	ck_assert_int_eq(tv_quota_charge(quota, 1, TV_RESOURCE_BYTES, 0, NULL), 0);
	tv_quota_release(quota, 1, TV_RESOURCE_BYTES, 0);
}
END_TEST

enum {
	UIDS = 40,
	EVENTS = 100000
};

/* Charges and releases in any order, against a table. */
START_TEST(accounts_add_up)
{
	_cleanup_(tv_quota_freep) struct tv_quota *quota = new_quota(100, 1000);
	static uint64_t used[UIDS][TV_RESOURCE_COUNT], total[TV_RESOURCE_COUNT];
	size_t refused = 0;
	uint64_t state = 1;

	for (size_t event = 0; event < EVENTS; event++) {
		size_t u = tv_unit_random(&state) % UIDS;
		size_t i = tv_unit_random(&state) % TV_RESOURCE_COUNT;
		enum tv_resource resource = (enum tv_resource)i;
		uint64_t amount = tv_unit_random(&state) % 40;

		if (tv_unit_random(&state) % 2) {
			int fits = used[u][i] + amount <= 100 + i && total[i] + amount <= 1000 + i;
			int r = tv_quota_charge(quota, (uid_t)u, resource, amount, NULL);

			if (r != (fits || !amount ? 0 : -EDQUOT))
				ck_abort_msg("charge of %ju: %d", (uintmax_t)amount, r);
			refused += r < 0;
			amount = r < 0 ? 0 : amount;
			used[u][i] += amount;
			total[i] += amount;
		} else {
			amount = amount < used[u][i] ? amount : used[u][i];
			tv_quota_release(quota, (uid_t)u, resource, amount);
			used[u][i] -= amount;
			total[i] -= amount;
		}
		if (tv_quota_used(quota, (uid_t)u, resource) != used[u][i] ||
		    tv_quota_total(quota, resource) != total[i])
			ck_abort_msg("uid %zu resource %zu", u, i);
	}
	ck_assert_uint_ge(refused, EVENTS / 100);
	for (size_t u = 0; u < UIDS; u++)
		for (size_t i = 0; i < TV_RESOURCE_COUNT; i++)
			tv_quota_release(quota, (uid_t)u, (enum tv_resource)i, used[u][i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tcase = tcase_create("quota");

	tcase_add_loop_test(tcase, limits_are_named, 0, TV_RESOURCE_COUNT);
	tcase_add_test(tcase, amounts_do_not_wrap);
	tcase_add_test(tcase, accounts_add_up);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
