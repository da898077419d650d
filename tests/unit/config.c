/* SPDX-License-Identifier: MIT */
/* The daemon's configuration file. */
#include "daemon/config.h"

#include <stdbool.h>
#include <string.h>

#include "common/file.h"
#include "tests/unit/directory.h"
#include "tests/unit/unit.h"

static uint64_t value_of(const struct tv_config *config, const struct tv_config_key *key)
{
	return *(const uint64_t *)((const char *)config + key->field);
}

START_TEST(sets_what_is_there)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "[Limits]\n"
				   "MaxSessions=7\n"
				   "  MaxBytesPerUser \t=  64K \r\n"
				   "; another = comment\n"
				   "MaxBytes=3G\n"
				   "MaxModels=0\n"
				   "MaxJobTime=2s\n"
				   "[ Scheduler ]\n"
				   "AgeingTime=1500us\n"
				   "[Limits]\n"
				   "MaxJobs=123456789012";
	struct tv_config config, defaults;
	struct tv_error error = { 0 };

	tv_config_defaults(&defaults);
	config = defaults;
	tv_assert_ok(tv_config_parse(&config, text, "test.conf", &error), error);
	ck_assert_uint_eq(config.limits.total[TV_RESOURCE_SESSIONS], 7);
	ck_assert_uint_eq(config.limits.user[TV_RESOURCE_BYTES], 65536);
	ck_assert_uint_eq(config.limits.total[TV_RESOURCE_BYTES], 3221225472);
	ck_assert_uint_eq(config.limits.total[TV_RESOURCE_MODELS], 0);
	ck_assert_uint_eq(config.limits.total[TV_RESOURCE_JOBS], 123456789012);
	ck_assert_uint_eq(config.max_job_time, 2000000000);
	ck_assert_uint_eq(config.ageing_time, 1500000);
	/* Nothing else changed. */
	ck_assert_uint_eq(config.limits.user[TV_RESOURCE_SESSIONS],
			  defaults.limits.user[TV_RESOURCE_SESSIONS]);
	ck_assert_uint_eq(config.limits.user[TV_RESOURCE_JOBS],
			  defaults.limits.user[TV_RESOURCE_JOBS]);
}
END_TEST

static const struct {
	const char *text, *error;
} refusals[] = {
	{ "MaxJobs=1", "f:1: \"MaxJobs\" is in no section" },
	{ "[Limits]\nMaxJobs", "f:2: \"MaxJobs\", expected \"Key=Value\"" },
	{ "\n\n[Limit]", "f:3: no section is called \"Limit\"" },
	{ "[limits]", "f:1: no section is called \"limits\"" },
	{ "[Limits", "f:1: \"[Limits\", expected \"[Section]\"" },
	{ "[", "f:1: \"[\", expected \"[Section]\"" },
	{ "[Limits]\n=1", "f:2: no key of [Limits] is called \"\"" },
	{ "[Limits]\nmaxjobs=1", "f:2: no key of [Limits] is called \"maxjobs\"" },
	{ "[Limits]\nMaxJob=1", "f:2: no key of [Limits] is called \"MaxJob\"" },
	{ "[Limits]\nMaxJobsPer=1", "f:2: no key of [Limits] is called \"MaxJobsPer\"" },
	{ "[Scheduler]\nMaxJobs=1", "f:2: no key of [Scheduler] is called \"MaxJobs\"" },
	{ "[Limits]\nMaxJobs=1\n\nMaxJobs=1", "f:4: MaxJobs is set on line 2 already" },
	{ "[Limits]\nMaxJobs=", "f:2: MaxJobs is \"\", expected a number such as 64" },
	{ "[Limits]\nMaxJobs=x", "f:2: MaxJobs is \"x\", expected a number such as 64" },
	{ "[Limits]\nMaxJobs=-1", "f:2: MaxJobs is \"-1\", expected a number such as 64" },
	{ "[Limits]\nMaxJobs=1K", "f:2: MaxJobs is \"1K\", expected a number such as 64" },
	{ "[Limits]\nMaxJobs=1 # x", "f:2: MaxJobs is \"1 # x\", expected a number such as 64" },
	{ "[Limits]\nMaxBytes=M",
	  "f:2: MaxBytes is \"M\", expected bytes such as 4096, 64K, 256M or 1G" },
	{ "[Limits]\nMaxBytes=1 M",
	  "f:2: MaxBytes is \"1 M\", expected bytes such as 4096, 64K, 256M or 1G" },
	{ "[Limits]\nMaxJobTime=1",
	  "f:2: MaxJobTime is \"1\", expected a time such as 100us, 500ms or 2s" },
	{ "[Limits]\nMaxJobTime=0s", "f:2: MaxJobTime is 0s, expected 1000 to 60000000000 ns" },
	{ "[Limits]\nMaxJobTime=61s", "f:2: MaxJobTime is 61s, expected 1000 to 60000000000 ns" },
	{ "[Limits]\nMaxJobs=9007199254740993",
	  "f:2: MaxJobs is 9007199254740993, expected 0 to 9007199254740992" },
	/* 2^64 + 1 and 3 * 2^64 + 2, and a factor too many */
	{ "[Limits]\nMaxJobs=18446744073709551617",
	  "f:2: MaxJobs is \"18446744073709551617\", expected a number such as 64" },
	{ "[Limits]\nMaxJobs=55340232221118654850",
	  "f:2: MaxJobs is \"55340232221118654850\", expected a number such as 64" },
	{ "[Limits]\nMaxBytes=17179869185G",
	  "f:2: MaxBytes is \"17179869185G\", expected bytes such as 4096, 64K, 256M or 1G" },
};

START_TEST(refuses)
{
	struct tv_config config, before;
	struct tv_error error = { 0 };
	char text[128];

	tv_config_defaults(&config);
	config.ageing_time = 42;
	before = config;
	ck_assert_int_eq(tv_config_parse(&config, refusals[_i].text, "f", &error), -EINVAL);
	ck_assert_str_eq(error.text, refusals[_i].error);
	ck_assert_mem_eq(&config, &before, sizeof(config));
	/* Not even what came before the mistake, in a file that goes on. */
	snprintf(text, sizeof(text), "[Scheduler]\nAgeingTime=7s\n[Limits]\n%s\n",
		 refusals[_i].text);
	if (refusals[_i].text[0] == '[') {
		ck_assert_int_eq(tv_config_parse(&config, text, "f", NULL), -EINVAL);
		ck_assert_mem_eq(&config, &before, sizeof(config));
	}
}
END_TEST

/* The file that is shipped says all keys with their defaults, each where it belongs. */
START_TEST(shipped_file_has_the_defaults)
{
	const char *path = tv_unit_source("daemon/data/triovitd.conf");
	_cleanup_free_ uint8_t *data = NULL;
	struct tv_config config, defaults;
	struct tv_error error = { 0 };
	size_t size;

	tv_config_defaults(&defaults);
	config = defaults;
	tv_assert_ok(tv_config_read(&config, path, &error), error);
	ck_assert_mem_eq(&config, &defaults, sizeof(config));

	/* "#Key=" without a blank is a key that is commented out. */
	tv_assert_ok(tv_file_read(path, 65536, &data, &size, &error), error);
	for (char *at = (char *)data; (at = strchr(at, '#')); at++)
		if (at[1] != ' ' && (at == (char *)data || at[-1] == '\n'))
			*at = ' ';
	memset(&config, 0xff, sizeof(config));
	tv_assert_ok(tv_config_parse(&config, (char *)data, path, &error), error);
	for (size_t i = 0; i < tv_config_key_count; i++) {
		const struct tv_config_key *key = &tv_config_keys[i];

		ck_assert_msg(value_of(&config, key) == key->value, "%s is %ju, expected %ju",
			      key->name, (uintmax_t)value_of(&config, key), (uintmax_t)key->value);
		ck_assert_uint_ge(key->value, key->least);
		ck_assert_uint_le(key->value, key->most);
	}
	ck_assert_mem_eq(&config, &defaults, sizeof(config));
}
END_TEST

/* So does the manual page: ".Ss [Section]", ".It Cm Key Ns = Ns Ar Value". */
START_TEST(manual_page_has_the_defaults)
{
	const char *path = tv_unit_source("docs/man/triovitd.conf.5");
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *page = NULL, *file = NULL;
	struct tv_config config, defaults;
	struct tv_error error = { 0 };
	char line[512], word[2][64];
	size_t size;

	page = fopen(path, "re");
	ck_assert_ptr_nonnull(page);
	file = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), page))
		if (sscanf(line, ".Ss %63s", word[0]) == 1)
			fprintf(file, "%s\n", word[0]);
		else if (sscanf(line, ".It Cm %63s Ns = Ns Ar %63s", word[0], word[1]) == 2)
			fprintf(file, "%s=%s\n", word[0], word[1]);
	ck_assert_int_eq(fflush(file), 0);
	tv_config_defaults(&defaults);
	memset(&config, 0xff, sizeof(config));
	tv_assert_ok(tv_config_parse(&config, text, path, &error), error);
	for (size_t i = 0; i < tv_config_key_count; i++) {
		const struct tv_config_key *key = &tv_config_keys[i];

		ck_assert_msg(value_of(&config, key) == key->value, "%s is %ju, expected %ju",
			      key->name, (uintmax_t)value_of(&config, key), (uintmax_t)key->value);
	}
	ck_assert_mem_eq(&config, &defaults, sizeof(config));
}
END_TEST

/* Nobody may hold more than all. */
START_TEST(defaults_make_sense)
{
	struct tv_config config;

	tv_config_defaults(&config);
	for (size_t i = 0; i < TV_RESOURCE_COUNT; i++) {
		ck_assert_uint_gt(config.limits.user[i], 0);
		ck_assert_uint_gt(config.limits.total[i], config.limits.user[i]);
	}
}
END_TEST

START_TEST(files_are_bounded)
{
	_cleanup_free_ char *data = calloc(1, 65537);
	const char *path = tv_unit_path("triovitd.conf");
	struct tv_error error = { 0 };
	struct iovec part = { data, 65537 };
	struct tv_config config;

	tv_config_defaults(&config);
	ck_assert_int_eq(tv_config_read(&config, path, NULL), -ENOENT);
	memset(data, '\n', part.iov_len);
	tv_assert_ok(tv_file_write(path, &part, 1, &error), error);
	ck_assert_int_eq(tv_config_read(&config, path, NULL), -EFBIG);
	part.iov_len--;
	tv_assert_ok(tv_file_write(path, &part, 1, &error), error);
	tv_assert_ok(tv_config_read(&config, path, &error), error);
	data[100] = '\0';
	tv_assert_ok(tv_file_write(path, &part, 1, &error), error);
	ck_assert_int_eq(tv_config_read(&config, path, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "triovitd.conf: is not a text"));
}
END_TEST

/* Any bytes end in an answer. */
START_TEST(survives_anything)
{
	static const char alphabet[] = "[]=\n\r\t #;09MKsLimitsMaxJobs\x01\xff";
	uint64_t state = 1;

	for (size_t i = 0; i < 100000; i++) {
		struct tv_error error = { 0 };
		struct tv_config config;
		char text[64];
		size_t length = tv_unit_random(&state) % sizeof(text);
		size_t fixed = snprintf(text, sizeof(text), "%s",
					i % 2 ? "" :
					i % 4 ? "[Limits]\n" :
						"[Limits]\nMaxJobs");

		for (size_t j = fixed; j < length; j++)
			text[j] = alphabet[tv_unit_random(&state) % (sizeof(alphabet) - 1)];
		text[length < fixed ? fixed : length] = '\0';
		tv_config_defaults(&config);
		if (tv_config_parse(&config, text, "f", &error) < 0 &&
		    strncmp(error.text, "f:", 2) != 0)
			ck_abort_msg("%s", error.text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_checked_fixture(tcase, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(tcase, sets_what_is_there);
	tcase_add_loop_test(tcase, refuses, 0, TV_ARRAY_SIZE(refusals));
	tcase_add_test(tcase, shipped_file_has_the_defaults);
	tcase_add_test(tcase, manual_page_has_the_defaults);
	tcase_add_test(tcase, defaults_make_sense);
	tcase_add_test(tcase, files_are_bounded);
	tcase_add_test(tcase, survives_anything);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
