/* SPDX-License-Identifier: MIT */
/* The safetensors writer: its bytes, that the reader takes them, and what it refuses. */
#include "common/safetensors.h"

#include <endian.h>
#include <string.h>

#include "common/file.h"
#include "tests/unit/directory.h"

static struct tv_safetensors_writer *new_writer(void)
{
	struct tv_safetensors_writer *writer = tv_safetensors_writer_new();

	ck_assert_ptr_nonnull(writer);
	return writer;
}

static void add(struct tv_safetensors_writer *writer, const char *name, enum tv_dtype dtype,
		unsigned int rank, const uint64_t *shape, const void *data, unsigned int alignment)
{
	struct tv_error error = { 0 };
	int r = tv_safetensors_writer_tensor(writer, name, dtype, rank, shape, data, alignment,
					     &error);

	tv_assert_ok(r, error);
}

static void add_metadata(struct tv_safetensors_writer *writer, const char *key, const char *value)
{
	struct tv_error error = { 0 };
	int r = tv_safetensors_writer_metadata(writer, key, value, &error);

	tv_assert_ok(r, error);
}

static void write_to(const struct tv_safetensors_writer *writer, const char *path)
{
	struct tv_error error = { 0 };
	int r = tv_safetensors_writer_write(writer, path, &error);

	tv_assert_ok(r, error);
}

/* What was written, byte for byte. */
static void assert_bytes(const char *path, const char *header, const void *data, size_t size)
{
	size_t length = strlen(header), padded = (8 + length + 4095) / 4096 * 4096;
	_cleanup_free_ uint8_t *bytes = NULL;
	struct tv_error error = { 0 };
	uint64_t field;
	size_t written;
	int r = tv_file_read(path, 1 << 20, &bytes, &written, &error);

	tv_assert_ok(r, error);
	ck_assert_uint_eq(written, padded + size);
	memcpy(&field, bytes, sizeof(field));
	ck_assert_uint_eq(le64toh(field), padded - 8);
	ck_assert_msg(memcmp(bytes + 8, header, length) == 0, "%.*s", (int)length, bytes + 8);
	for (size_t i = 8 + length; i < padded; i++)
		if (bytes[i] != ' ')
			ck_abort_msg("byte %zu of the header is %#x", i, bytes[i]);
	ck_assert_mem_eq(bytes + padded, data, size);
}

START_TEST(writes_these_bytes)
{
	static const uint64_t shape[] = { 2, 3 }, three[] = { 3 }, none[] = { 4, 0 };
	static const uint8_t data[] = { 1, 2, 3, 4, 5, 6 }, scalar[] = { 0x80, 0x3f };
	static const uint8_t expected[] = { 7, 8, 9, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0x80, 0x3f };
	const char *path = tv_unit_path("golden.safetensors");
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();

	/* The metadata comes first whenever it is added, the rest in the order of adding. */
	add(writer, "z", TV_DTYPE_U8, 1, three, "\7\10\11", 8);
	add_metadata(writer, "second", "\"quoted\"\n\t\\ /");
	add(writer, "empty", TV_DTYPE_F32, 2, none, NULL, 1);
	add(writer, "a \xc3\xa9", TV_DTYPE_I8, 2, shape, data, 1);
	add_metadata(writer, "first", "");
	add(writer, "scalar", TV_DTYPE_BF16, 0, NULL, scalar, 1);
	write_to(writer, path);

	assert_bytes(path,
		     "{\"__metadata__\":{\"second\":\"\\\"quoted\\\"\\n\\t\\\\ /\",\"first\":\"\"},"
		     "\"z\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
		     "\"empty\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[8,8]},"
		     "\"a \xc3\xa9\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[8,14]},"
		     "\"scalar\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[14,16]}}",
		     expected, sizeof(expected));
}
END_TEST

START_TEST(writes_an_empty_file)
{
	const char *path = tv_unit_path("empty.safetensors");
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	struct tv_error error = { 0 };
	int r;

	write_to(writer, path);
	assert_bytes(path, "{}", "", 0);
	r = tv_safetensors_open(path, &file, &error);
	tv_assert_ok(r, error);
	ck_assert_uint_eq(tv_safetensors_count(file), 0);
}
END_TEST

START_TEST(reads_back_what_it_wrote)
{
	enum { TENSORS = 300 };
	const char *path = tv_unit_path("many.safetensors");
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	uint64_t shapes[TENSORS][TV_SAFETENSORS_RANK_MAX];
	struct tv_error error = { 0 };
	uint64_t state = 1;
	uint8_t data[8 * 256];
	int r;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)tv_unit_random(&state);
	for (unsigned int i = 0; i < TENSORS; i++) {
		char name[32];

		/* Dimensions of 1 and 2, so that there are at most 256 elements. */
		for (unsigned int j = 0; j < TV_SAFETENSORS_RANK_MAX; j++)
			shapes[i][j] = 1 + tv_unit_random(&state) % 2;
		snprintf(name, sizeof(name), "tensor.%u", i);
		add(writer, name, (enum tv_dtype)(i % TV_DTYPE_COUNT), i % 9, shapes[i], data, 1);
	}
	add_metadata(writer, "key", "value");
	write_to(writer, path);

	r = tv_safetensors_open(path, &file, &error);
	tv_assert_ok(r, error);
	ck_assert_uint_eq(tv_safetensors_count(file), TENSORS);
	ck_assert_str_eq(tv_safetensors_metadata(file, "key"), "value");
	for (unsigned int i = 0; i < TENSORS; i++) {
		const struct tv_tensor *tensor = tv_safetensors_at(file, i);
		char name[32];

		snprintf(name, sizeof(name), "tensor.%u", i);
		ck_assert_str_eq(tensor->name, name);
		ck_assert_int_eq(tensor->dtype, i % TV_DTYPE_COUNT);
		ck_assert_uint_eq(tensor->rank, i % 9);
		for (unsigned int j = 0; j < tensor->rank; j++)
			ck_assert_uint_eq(tensor->shape[j], shapes[i][j]);
		ck_assert_mem_eq(tensor->data, data, tensor->size);
	}
}
END_TEST

/* A package's tensors begin on pages. */
START_TEST(pads_to_pages)
{
	static const uint64_t sizes[] = { 1, 4095, 4096, 4097, 0, 5 };
	const char *path = tv_unit_path("pages.safetensors");
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	struct tv_error error = { 0 };
	uint8_t data[4097];
	int r;

	memset(data, 0xff, sizeof(data));
	for (size_t i = 0; i < TV_ARRAY_SIZE(sizes); i++) {
		char name[2] = { (char)('a' + i), '\0' };

		add(writer, name, TV_DTYPE_U8, 1, &sizes[i], data, TV_SAFETENSORS_ALIGNMENT);
	}
	write_to(writer, path);

	r = tv_safetensors_open(path, &file, &error);
	tv_assert_ok(r, error);
	for (size_t i = 0; i < TV_ARRAY_SIZE(sizes); i++) {
		char name[2] = { (char)('a' + i), '\0' };
		const struct tv_tensor *tensor = tv_safetensors_find(file, name);

		ck_assert_uint_eq(tensor->size, (sizes[i] + 4095) / 4096 * 4096);
		ck_assert_uint_eq(tensor->elements, tensor->size);
		for (size_t j = 0; j < tensor->size; j++)
			if (tensor->data[j] != (j < sizes[i] ? 0xff : 0))
				ck_abort_msg("byte %zu of %zu is %#x", j, i, tensor->data[j]);
	}
}
END_TEST

/* Data starts on a page whether the header just fills one or just does not. */
START_TEST(pads_the_header)
{
	for (size_t length = 4000; length < 4060; length++) {
		const char *path = tv_unit_path("header.safetensors");
		_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer =
			new_writer();
		static const uint64_t one = 1;
		char name[4200], header[4300];

		memset(name, 'n', length);
		name[length] = '\0';
		add(writer, name, TV_DTYPE_U8, 1, &one, "\x55", 1);
		write_to(writer, path);
		snprintf(header, sizeof(header),
			 "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
		assert_bytes(path, header, "\x55", 1);
	}
}
END_TEST

static void assert_refused(int r, int code, const struct tv_error *error, const char *word)
{
	ck_assert_msg(r == code && error->code == code, "%d: %s", r, error->text);
	ck_assert_msg(strstr(error->text, word), "%s", error->text);
}

START_TEST(refuses_metadata)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();
	static const struct {
		const char *key, *value;
		int code;
		const char *word;
	} cases[] = {
		{ "key", "other", -EEXIST, "metadata 'key': was added before" },
		{ "key\n", "", -EINVAL, "control characters" },
		{ "k\xff", "", -EINVAL, "not valid UTF-8" },
		{ "k", "\xc3", -EINVAL, "metadata 'k': not valid UTF-8" },
	};

	add_metadata(writer, "key", "value");
	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++) {
		struct tv_error error = { 0 };
		int r = tv_safetensors_writer_metadata(writer, cases[i].key, cases[i].value,
						       &error);

		assert_refused(r, cases[i].code, &error, cases[i].word);
	}
}
END_TEST

START_TEST(refuses_tensors)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();
	static const uint64_t one[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	static const uint64_t large[] = { UINT64_C(1) << 32, UINT64_C(1) << 32 };
	static const uint64_t negative[] = { 0, UINT64_C(1) << 63 };
	static const struct {
		const char *name;
		enum tv_dtype dtype;
		unsigned int rank;
		const uint64_t *shape;
		unsigned int alignment;
		int code;
		const char *word;
	} cases[] = {
		{ "t", TV_DTYPE_U8, 1, one, 1, -EEXIST, "tensor 't': was added before" },
		{ "__metadata__", TV_DTYPE_U8, 1, one, 1, -EINVAL, "the metadata's" },
		{ "a\r", TV_DTYPE_U8, 1, one, 1, -EINVAL, "control characters" },
		{ "\xc0\x80", TV_DTYPE_U8, 1, one, 1, -EINVAL, "not valid UTF-8" },
		{ "a", TV_DTYPE_COUNT, 1, one, 1, -EINVAL, "tensor 'a': unknown dtype 15" },
		{ "a", TV_DTYPE_U8, 9, one, 1, -EINVAL, "rank 9, expected at most 8" },
		{ "a", TV_DTYPE_U8, 2, large, 1, -EINVAL, "larger than memory" },
		{ "a", TV_DTYPE_U8, 2, negative, 1, -EINVAL, "larger than memory" },
		{ "a", TV_DTYPE_U8, 1, one, 0, -EINVAL, "alignment 0" },
		{ "a", TV_DTYPE_U8, 1, one, 4097, -EINVAL, "alignment 4097" },
		{ "a", TV_DTYPE_U8, 2, one, 2, -EINVAL, "U8 of rank 2 cannot be padded" },
		{ "a", TV_DTYPE_I8, 1, one, 2, -EINVAL, "I8 of rank 1 cannot be padded" },
	};

	add(writer, "t", TV_DTYPE_U8, 1, one, "", 1);
	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++) {
		struct tv_error error = { 0 };
		int r = tv_safetensors_writer_tensor(writer, cases[i].name, cases[i].dtype,
						     cases[i].rank, cases[i].shape, "",
						     cases[i].alignment, &error);

		assert_refused(r, cases[i].code, &error, cases[i].word);
	}
}
END_TEST

/* What was refused leaves no trace in the file. */
START_TEST(goes_on_after_a_refusal)
{
	const char *path = tv_unit_path("after.safetensors");
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();
	static const uint64_t shape[] = { 2 };

	add(writer, "a", TV_DTYPE_U8, 1, shape, "ab", 1);
	ck_assert_int_eq(tv_safetensors_writer_tensor(writer, "a", TV_DTYPE_U8, 1, shape, "xx", 1,
						      NULL),
			 -EEXIST);
	ck_assert_int_eq(tv_safetensors_writer_tensor(writer, "x", TV_DTYPE_I8, 1, shape, "xx", 4,
						      NULL),
			 -EINVAL);
	add(writer, "b", TV_DTYPE_U8, 1, shape, "cd", 1);
	write_to(writer, path);
	assert_bytes(path,
		     "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
		     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
		     "abcd", 4);
}
END_TEST

START_TEST(bounds_the_tensors)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = new_writer();
	struct tv_error error = { 0 };
	int r;

	for (unsigned int i = 0; i < TV_SAFETENSORS_TENSORS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		add(writer, name, TV_DTYPE_U8, 0, NULL, "", 1);
	}
	r = tv_safetensors_writer_tensor(writer, "last", TV_DTYPE_U8, 0, NULL, "", 1, &error);
	assert_refused(r, -EINVAL, &error, "tensor 'last': is one too many");
}
END_TEST

START_TEST(bounds_the_header)
{
	enum { ROOM = (1 << 20) - 8 - sizeof("{\"__metadata__\":{\"k\":\"\"}}") + 1 };
	const char *path = tv_unit_path("bounds.safetensors");
	_cleanup_free_ char *value = malloc(ROOM + 2);

	memset(value, 'v', ROOM + 1);
	for (size_t length = ROOM; length <= ROOM + 1; length++) {
		_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer =
			new_writer();
		_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
		struct tv_error error = { 0 };
		int r;

		value[length] = '\0';
		add_metadata(writer, "k", value);
		r = tv_safetensors_writer_write(writer, path, &error);
		if (length > ROOM) {
			assert_refused(r, -EINVAL, &error, "header of 1048569 bytes");
			continue;
		}
		tv_assert_ok(r, error);
		r = tv_safetensors_open(path, &file, &error);
		tv_assert_ok(r, error);
		ck_assert_str_eq(tv_safetensors_metadata(file, "k"), value);
		value[length] = 'v';
	}
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("safetensors-write");
	TCase *written = tcase_create("written"), *refused = tcase_create("refused");

	tcase_add_checked_fixture(written, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(written, writes_these_bytes);
	tcase_add_test(written, writes_an_empty_file);
	tcase_add_test(written, reads_back_what_it_wrote);
	tcase_add_test(written, pads_to_pages);
	tcase_add_test(written, pads_the_header);
	suite_add_tcase(suite, written);

	tcase_add_checked_fixture(refused, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(refused, refuses_metadata);
	tcase_add_test(refused, refuses_tensors);
	tcase_add_test(refused, goes_on_after_a_refusal);
	tcase_add_test(refused, bounds_the_tensors);
	tcase_add_test(refused, bounds_the_header);
	suite_add_tcase(suite, refused);

	return tv_unit_main(suite);
}
