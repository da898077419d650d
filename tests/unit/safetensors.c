/* SPDX-License-Identifier: MIT */
/* The safetensors reader: what it takes, what it refuses and what it says then. */
#include "common/safetensors.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/directory.h"

#define SMALL                                                                                      \
	"{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},"                         \
	"\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}"
#define SMALL_DATA 11

struct bytes {
	uint8_t *data;
	size_t size;
};

static void bytes_done(struct bytes *bytes)
{
	free(bytes->data);
}

#define _cleanup_bytes_ _cleanup_(bytes_done)

/* A file: length field, header, data bytes that count up from 0. */
static struct bytes make(uint64_t length, const char *header, size_t header_size, size_t data_size)
{
	struct bytes file = { .size = sizeof(length) + header_size + data_size };
	uint64_t field = htole64(length);

	/* Allocated at exactly its size, so that a sanitizer sees one byte read too much. */
	file.data = malloc(file.size);
	ck_assert_ptr_nonnull(file.data);
	memcpy(file.data, &field, sizeof(field));
	memcpy(file.data + sizeof(field), header, header_size);
	for (size_t i = 0; i < data_size; i++)
		file.data[sizeof(field) + header_size + i] = (uint8_t)i;
	return file;
}

static struct bytes make_text(const char *header, size_t data_size)
{
	return make(strlen(header), header, strlen(header), data_size);
}

/* Parsing fails with -EBADMSG and a text that begins with the file and has all the words. */
static void assert_refused(const struct bytes *file, const char *const *words, size_t count)
{
	struct tv_safetensors *parsed = (void *)-1;
	struct tv_error error = { 0 };
	int r = tv_safetensors_parse(file->data, file->size, "FILE", &parsed, &error);

	ck_assert_int_eq(r, -EBADMSG);
	ck_assert_int_eq(error.code, r);
	ck_assert_ptr_eq(parsed, (void *)-1);
	ck_assert_msg(strncmp(error.text, "FILE: ", 6) == 0, "%s", error.text);
	for (size_t i = 0; i < count && words[i]; i++)
		ck_assert_msg(strstr(error.text, words[i]), "no \"%s\" in: %s", words[i],
			      error.text);
	for (const char *c = error.text; *c; c++)
		ck_assert_msg(*c >= ' ' && *c <= '~', "control character in: %s", error.text);
}

#define T(fields) "{\"t\":{" fields "}}"
#define ENTRY(dtype, shape, offsets)                                                               \
	T("\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets)
#define F32_AT(name, offsets)                                                                      \
	"\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" offsets "}"

static const struct refusal {
	const char *header;
	size_t data;
	const char *words[4];
} refusals[] = {
	/* Not JSON, or not the JSON of a header. */
	{ "", 0, { "does not begin with '{'" } },
	{ " {}", 0, { "does not begin with '{'" } },
	{ "[]", 0, { "does not begin with '{'" } },
	{ "{", 0, { "not valid JSON" } },
	{ "{}}", 0, { "not valid JSON", "byte 3" } },
	{ "{} {}", 0, { "not valid JSON" } },
	{ "{\"t\":{\"dtype\":\"F32\",}}", 0, { "tensor 't'", "not valid JSON", "byte 21" } },
	{ "{\"t\":\"\\u0000\"}", 0, { "tensor 't'", "not valid JSON" } },
	{ "{\"t\\u0000\":{}}", 0, { "not valid JSON" } },
	{ "{\"t\xff\":{}}", 0, { "not valid JSON" } },
	{ "{\"t\x1b[2J\":{}}", 0, { "not valid JSON" } },
	{ "{\"t\":NaN}", 0, { "tensor 't'", "not valid JSON" } },
	{ "{\"t\":[[[[1]]]]}", 0, { "tensor 't'", "nested deeper than 4 levels" } },
	{ "{\"t\":{\"dtype\":{\"a\":[{}]}}}", 0, { "tensor 't'", "nested deeper than 4 levels" } },
	{ "{\"]}\\\"\":{\"dtype\":{\"a\":[{}]}}}", 0, { "nested deeper than 4 levels" } },
	{ "{\"t\":[[[1]]]}", 0, { "tensor 't'", "is an array, expected an object" } },
	/* Keys that appear twice. */
	{ "{" F32_AT("t", "[0,4]") "," F32_AT("t", "[0,4]") "}", 4,
	  { "tensor 't': appears twice in the header" } },
	{ "{" F32_AT("t", "[0,4]") "," F32_AT("\\u0074", "[0,4]") "}", 4,
	  { "appears twice in the header" } },
	{ "{\"__metadata__\":{},\"__metadata__\":{}}", 0, { "__metadata__: appears twice" } },
	{ T("\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]"), 4,
	  { "tensor 't': key 'shape' appears twice" } },
	{ "{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", 0,
	  { "__metadata__: key 'a' appears twice" } },
	/* Entries that are not what they should be. */
	{ "{\"t\":null}", 0, { "tensor 't'", "is null, expected an object" } },
	{ "{\"t\\u001b[2J\":{}}", 0, { "tensor 't?[2J'", "control characters" } },
	{ "{\"t\\u009b2J\":{}}", 0, { "tensor", "control characters" } },
	{ T("\"shape\":[1],\"data_offsets\":[0,4]"), 4, { "tensor 't'", "no dtype" } },
	{ T("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, { "tensor 't'", "no shape" } },
	{ T("\"dtype\":\"F32\",\"shape\":[1]"), 4, { "tensor 't'", "no data_offsets" } },
	{ T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0"), 4,
	  { "tensor 't'", "unknown key 'x'" } },
	{ ENTRY("\"F31\"", "[1]", "[0,4]"), 4, { "tensor 't'", "unknown dtype 'F31'" } },
	{ ENTRY("\"f32\"", "[1]", "[0,4]"), 4, { "tensor 't'", "unknown dtype 'f32'" } },
	{ ENTRY("\"\\u001b\"", "[1]", "[0,4]"), 4, { "tensor 't'", "unknown dtype '?'" } },
	{ ENTRY("4", "[1]", "[0,4]"), 4, { "tensor 't'", "dtype is an integer" } },
	{ ENTRY("\"F32\"", "1", "[0,4]"), 4, { "tensor 't'", "shape is an integer" } },
	{ ENTRY("\"F32\"", "[\"1\"]", "[0,4]"), 4, { "tensor 't'", "shape[0] is a string" } },
	{ ENTRY("\"F32\"", "[1,1.0]", "[0,4]"), 4, { "tensor 't'", "shape[1] is a number with" } },
	{ ENTRY("\"F32\"", "[1e0]", "[0,4]"), 4, { "tensor 't'", "shape[0] is a number with" } },
	{ ENTRY("\"F32\"", "[1e999]", "[0,4]"), 4, { "tensor 't'", "overflow" } },
	{ ENTRY("\"F32\"", "[true]", "[0,4]"), 4, { "tensor 't'", "shape[0] is a boolean" } },
	{ ENTRY("\"F32\"", "[-1]", "[0,4]"), 4, { "tensor 't'", "shape[0] is -1" } },
	{ ENTRY("\"F32\"", "[18446744073709551616]", "[0,4]"), 4, { "tensor 't'", "too big" } },
	{ ENTRY("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0,
	  { "tensor 't'", "more elements than 64 bits" } },
	{ ENTRY("\"U8\"", "[4294967296,4294967296,0]", "[0,0]"), 0,
	  { "tensor 't'", "more elements than 64 bits" } },
	{ ENTRY("\"F32\"", "[4294967296,1073741824]", "[0,0]"), 0,
	  { "tensor 't'", "more bytes than 64 bits" } },
	{ ENTRY("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4,
	  { "tensor 't'", "shape has 9 numbers, expected at most 8" } },
	{ ENTRY("\"F32\"", "[1]", "{}"), 4, { "tensor 't'", "data_offsets is an object" } },
	{ ENTRY("\"F32\"", "[1]", "[]"), 4, { "tensor 't'", "data_offsets has 0 numbers" } },
	{ ENTRY("\"F32\"", "[1]", "[4]"), 4, { "tensor 't'", "data_offsets has 1 numbers" } },
	{ ENTRY("\"F32\"", "[1]", "[0,4,4]"), 4, { "tensor 't'", "data_offsets has 3 numbers" } },
	{ ENTRY("\"F32\"", "[1]", "[0,4.0]"), 4, { "tensor 't'", "data_offsets[1]" } },
	{ ENTRY("\"F32\"", "[1]", "[-4,0]"), 4, { "tensor 't'", "data_offsets[0] is -4" } },
	{ ENTRY("\"F32\"", "[1]", "[4,0]"), 4, { "tensor 't'", "at 4, after their end at 0" } },
	{ ENTRY("\"F32\"", "[2]", "[0,4]"), 4,
	  { "tensor 't'", "span 4 bytes", "expected 8 for F32 [2]" } },
	{ ENTRY("\"F16\"", "[]", "[0,4]"), 4, { "tensor 't'", "expected 2 for F16 []" } },
	/* Places in the data. */
	{ "{" F32_AT("a", "[0,4]") "," F32_AT("b", "[3,7]") "}", 7,
	  { "tensor 'b'", "begins at byte 3", "inside tensor 'a', which ends at 4" } },
	{ "{" F32_AT("b", "[0,4]") "," F32_AT("a", "[0,4]") "}", 4,
	  { "tensor 'b'", "begins at byte 0", "inside tensor 'a'" } },
	{ "{" F32_AT("a", "[0,4]") "," F32_AT("b", "[5,9]") "}", 9,
	  { "tensor 'b'", "begins at byte 5, expected 4", "hole" } },
	{ "{" F32_AT("a", "[1,5]") "}", 5, { "tensor 'a'", "begins at byte 1, expected 0" } },
	{ "{" F32_AT("a", "[0,4]") "," F32_AT("b", "[4,8]") "}", 7,
	  { "tensor 'b'", "ends at byte 8", "only 7 bytes" } },
	{ "{" F32_AT("a", "[9223372036854775803,9223372036854775807]") "}", 4,
	  { "tensor 'a'", "begins at byte 9223372036854775803" } },
	{ "{" F32_AT("a", "[0,4]") "}", 5, { "1 bytes follow the last tensor 'a'" } },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]},"
	  F32_AT("b", "[0,4]") "}", 4, { "tensor 'a'", "inside tensor 'b'" } },
	{ "{}", 1, { "1 bytes follow" } },
	/* Metadata. */
	{ "{\"__metadata__\":[]}", 0, { "__metadata__", "is an array, expected an object" } },
	{ "{\"__metadata__\":null}", 0, { "__metadata__", "is null" } },
	{ "{\"__metadata__\":{\"k\":1}}", 0, { "__metadata__", "'k' is an integer" } },
	{ "{\"__metadata__\":{\"k\":{\"l\":\"\"}}}", 0, { "__metadata__", "'k' is an object" } },
	{ "{\"__metadata__\":{\"\\u007f\":\"\"}}", 0, { "__metadata__", "control characters" } },
};

START_TEST(refuses)
{
	const struct refusal *refusal = &refusals[_i];
	_cleanup_bytes_ struct bytes file = make_text(refusal->header, refusal->data);

	assert_refused(&file, refusal->words, TV_ARRAY_SIZE(refusal->words));
}
END_TEST

START_TEST(refuses_every_truncation)
{
	_cleanup_bytes_ struct bytes whole = make_text(SMALL, SMALL_DATA);

	for (size_t size = 0; size < whole.size; size++) {
		_cleanup_bytes_ struct bytes file = { malloc(size + !size), size };

		memcpy(file.data, whole.data, size);
		assert_refused(&file, NULL, 0);
	}
}
END_TEST

START_TEST(refuses_header_lengths)
{
	static const struct {
		uint64_t length;
		const char *word;
	} cases[] = {
		{ sizeof(SMALL) - 1 + SMALL_DATA + 1, "beyond the end of the file" },
		{ TV_SAFETENSORS_HEADER_MAX, "beyond the end of the file" },
		{ TV_SAFETENSORS_HEADER_MAX + 1, "expected at most 1048576" },
		{ UINT64_MAX, "expected at most 1048576" },
		{ UINT64_MAX - 7, "expected at most 1048576" },
		{ 0, "does not begin with '{'" },
		{ 1, "not valid JSON" },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++) {
		_cleanup_bytes_ struct bytes file =
			make(cases[i].length, SMALL, strlen(SMALL), SMALL_DATA);

		assert_refused(&file, &cases[i].word, 1);
	}
}
END_TEST

/* A header of the greatest size is taken, one byte more is not, though the file has it. */
START_TEST(bounds_the_header)
{
	_cleanup_free_ char *header = malloc(TV_SAFETENSORS_HEADER_MAX + 1);
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *parsed = NULL;
	static const char *const words[] = { "header of 1048577 bytes" };
	struct tv_error error = { 0 };

	memset(header, ' ', TV_SAFETENSORS_HEADER_MAX + 1);
	memcpy(header, SMALL, strlen(SMALL));
	for (size_t excess = 0; excess <= 1; excess++) {
		size_t size = TV_SAFETENSORS_HEADER_MAX + excess;
		_cleanup_bytes_ struct bytes file = make(size, header, size, SMALL_DATA);
		int r;

		if (excess) {
			assert_refused(&file, words, 1);
			continue;
		}
		r = tv_safetensors_parse(file.data, file.size, "FILE", &parsed, &error);
		tv_assert_ok(r, error);
	}
}
END_TEST

/* Brackets by the hundred thousand would overflow the stack of a parser that follows them. */
START_TEST(bounds_the_depth)
{
	static const char *const words[] = { "tensor 't'", "nested deeper" };
	static const char start[] = "{\"t\":";
	_cleanup_free_ char *header = malloc(TV_SAFETENSORS_HEADER_MAX);
	_cleanup_bytes_ struct bytes file = { 0 };

	memset(header, '[', TV_SAFETENSORS_HEADER_MAX);
	memcpy(header, start, strlen(start));
	file = make(TV_SAFETENSORS_HEADER_MAX, header, TV_SAFETENSORS_HEADER_MAX, 0);
	assert_refused(&file, words, TV_ARRAY_SIZE(words));
}
END_TEST

/* A header of count tensors of one byte each, named by their number counted down. */
static char *many_tensors(unsigned int count)
{
	size_t size = 0;
	char *header;
	FILE *stream = open_memstream(&header, &size);

	ck_assert_ptr_nonnull(stream);
	fputc('{', stream);
	for (unsigned int i = 0; i < count; i++)
		fprintf(stream,
			"%s\"%u\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[%u,%u]}",
			i ? "," : "", count - i, i, i + 1);
	fputc('}', stream);
	ck_assert_int_eq(fclose(stream), 0);
	return header;
}

START_TEST(bounds_the_tensors)
{
	_cleanup_free_ char *most = many_tensors(TV_SAFETENSORS_TENSORS_MAX);
	_cleanup_free_ char *excess = many_tensors(TV_SAFETENSORS_TENSORS_MAX + 1);
	_cleanup_bytes_ struct bytes good = make_text(most, TV_SAFETENSORS_TENSORS_MAX);
	_cleanup_bytes_ struct bytes bad = make_text(excess, TV_SAFETENSORS_TENSORS_MAX + 1);
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *parsed = NULL;
	static const char *const words[] = { "4097 tensors, expected at most 4096" };
	struct tv_error error = { 0 };
	int r;

	assert_refused(&bad, words, 1);

	r = tv_safetensors_parse(good.data, good.size, "FILE", &parsed, &error);
	tv_assert_ok(r, error);
	ck_assert_uint_eq(tv_safetensors_count(parsed), TV_SAFETENSORS_TENSORS_MAX);
	for (unsigned int i = 0; i < TV_SAFETENSORS_TENSORS_MAX; i++) {
		const struct tv_tensor *tensor = tv_safetensors_at(parsed, i);
		char name[16];

		snprintf(name, sizeof(name), "%u", TV_SAFETENSORS_TENSORS_MAX - i);
		ck_assert_str_eq(tensor->name, name);
		ck_assert_ptr_eq(tv_safetensors_find(parsed, name), tensor);
		ck_assert_uint_eq(tensor->data[0], (uint8_t)i);
	}
	ck_assert_ptr_null(tv_safetensors_find(parsed, "0"));
	ck_assert_ptr_null(tv_safetensors_find(parsed, "4097"));
	ck_assert_ptr_null(tv_safetensors_find(parsed, ""));
}
END_TEST

/* What is said must survive names that are longer than the text. */
START_TEST(shortens_long_names)
{
	static const char *const words[] = { "tensor 'nnnn", "no dtype" };
	char name[2001], header[2100];
	_cleanup_bytes_ struct bytes file = { 0 };

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(header, sizeof(header), "{\"%s\":{}}", name);
	file = make_text(header, 0);
	assert_refused(&file, words, TV_ARRAY_SIZE(words));
}
END_TEST

START_TEST(reads_tensors_in_the_order_of_their_data)
{
	_cleanup_bytes_ struct bytes file = make_text(SMALL, SMALL_DATA);
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *parsed = NULL;
	const struct tv_tensor *a, *b;
	struct tv_error error = { 0 };
	int r;

	r = tv_safetensors_parse(file.data, file.size, "FILE", &parsed, &error);
	tv_assert_ok(r, error);
	ck_assert_str_eq(tv_safetensors_name(parsed), "FILE");
	ck_assert_uint_eq(tv_safetensors_count(parsed), 2);

	a = tv_safetensors_at(parsed, 0);
	ck_assert_str_eq(a->name, "a");
	ck_assert_int_eq(a->dtype, TV_DTYPE_F32);
	ck_assert_uint_eq(a->rank, 2);
	ck_assert_uint_eq(a->shape[0], 2);
	ck_assert_uint_eq(a->shape[1], 1);
	ck_assert_uint_eq(a->elements, 2);
	ck_assert_uint_eq(a->size, 8);
	ck_assert_ptr_eq(a->data, file.data + file.size - SMALL_DATA);

	b = tv_safetensors_find(parsed, "b");
	ck_assert_ptr_eq(b, tv_safetensors_at(parsed, 1));
	ck_assert_int_eq(b->dtype, TV_DTYPE_U8);
	ck_assert_uint_eq(b->size, 3);
	ck_assert_uint_eq(b->data[2], 10);

	ck_assert_ptr_null(tv_safetensors_find(parsed, "c"));
	ck_assert_ptr_null(tv_safetensors_find(parsed, "__metadata__"));
	ck_assert_ptr_null(tv_safetensors_metadata(parsed, "a"));
}
END_TEST

START_TEST(reads_scalars_empty_tensors_and_metadata)
{
	static const char header[] =
		"{\"full\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
		"\"__metadata__\":{\"k\":\"line\\nline\",\"\":\"\"},"
		"\"last\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,8]},"
		"\"zero\":{\"dtype\":\"F64\",\"shape\":[3,0,9223372036854775807],"
		"\"data_offsets\":[0,0]}}  ";
	static const char *const order[] = { "zero", "full", "last" };
	_cleanup_bytes_ struct bytes file = make_text(header, 8);
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *parsed = NULL;
	struct tv_error error = { 0 };
	int r;

	r = tv_safetensors_parse(file.data, file.size, "FILE", &parsed, &error);
	tv_assert_ok(r, error);
	ck_assert_uint_eq(tv_safetensors_count(parsed), 3);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_str_eq(tv_safetensors_at(parsed, i)->name, order[i]);
	ck_assert_uint_eq(tv_safetensors_at(parsed, 0)->elements, 0);
	ck_assert_uint_eq(tv_safetensors_at(parsed, 0)->size, 0);
	ck_assert_uint_eq(tv_safetensors_at(parsed, 1)->elements, 1);
	ck_assert_uint_eq(tv_safetensors_at(parsed, 1)->rank, 0);
	ck_assert_str_eq(tv_safetensors_metadata(parsed, "k"), "line\nline");
	ck_assert_str_eq(tv_safetensors_metadata(parsed, ""), "");
	ck_assert_ptr_null(tv_safetensors_metadata(parsed, "full"));
}
END_TEST

START_TEST(reads_an_empty_file)
{
	_cleanup_bytes_ struct bytes file = make_text("{}", 0);
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *parsed = NULL;
	struct tv_error error = { 0 };
	int r = tv_safetensors_parse(file.data, file.size, "FILE", &parsed, &error);

	tv_assert_ok(r, error);
	ck_assert_uint_eq(tv_safetensors_count(parsed), 0);
	ck_assert_ptr_null(tv_safetensors_find(parsed, "a"));
	ck_assert_ptr_null(tv_safetensors_metadata(parsed, "a"));
}
END_TEST

START_TEST(knows_every_dtype)
{
	for (int i = 0; i < TV_DTYPE_COUNT; i++) {
		const char *name = tv_dtype_name((enum tv_dtype)i);
		size_t size = tv_dtype_size((enum tv_dtype)i);
		_cleanup_(tv_safetensors_freep) struct tv_safetensors *parsed = NULL;
		_cleanup_bytes_ struct bytes file = { 0 };
		struct tv_error error = { 0 };
		char header[128];
		int r;

		snprintf(header, sizeof(header), ENTRY("\"%s\"", "[5]", "[0,%zu]"), name, 5 * size);
		file = make_text(header, 5 * size);
		r = tv_safetensors_parse(file.data, file.size, "FILE", &parsed, &error);
		tv_assert_ok(r, error);
		ck_assert_int_eq(tv_safetensors_at(parsed, 0)->dtype, i);
	}
	ck_assert_uint_eq(tv_dtype_size(TV_DTYPE_COUNT), 0);
	ck_assert_uint_eq(tv_dtype_size(TV_DTYPE_BF16), 2);
	ck_assert_uint_eq(tv_dtype_size(TV_DTYPE_U64), 8);
}
END_TEST

START_TEST(works_without_an_error)
{
	_cleanup_bytes_ struct bytes file = make_text(SMALL, SMALL_DATA + 1);
	struct tv_safetensors *parsed;

	ck_assert_int_eq(tv_safetensors_parse(file.data, file.size, "FILE", &parsed, NULL),
			 -EBADMSG);
	ck_assert_int_eq(tv_safetensors_open("/nonexistent", &parsed, NULL), -ENOENT);
}
END_TEST

START_TEST(opens_a_file)
{
	_cleanup_bytes_ struct bytes bytes = make_text(SMALL, SMALL_DATA);
	const char *path = tv_unit_file("good", bytes.data, bytes.size);
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	struct tv_error error = { 0 };
	int r = tv_safetensors_open(path, &file, &error);

	tv_assert_ok(r, error);
	ck_assert_str_eq(tv_safetensors_name(file), path);
	ck_assert_uint_eq(tv_safetensors_find(file, "b")->data[0], 8);
}
END_TEST

/* Opening fails with the code and a text that begins with the path and has the word. */
static void assert_not_opened(const char *path, int code, const char *word)
{
	struct tv_safetensors *file;
	struct tv_error error = { 0 };
	int r = tv_safetensors_open(path, &file, &error);

	ck_assert_msg(r == code && error.code == code, "%d: %s", r, error.text);
	ck_assert_msg(strncmp(error.text, path, strlen(path)) == 0, "%s", error.text);
	ck_assert_msg(strstr(error.text, word), "%s", error.text);
}

START_TEST(refuses_to_open)
{
	const char *path = tv_unit_path("pipe");

	assert_not_opened(tv_unit_directory, -EINVAL, "is a directory, expected a regular file");
	assert_not_opened("/dev/null", -EINVAL, "is a device, expected a regular file");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_not_opened(path, -EINVAL, "is a pipe, expected a regular file");
	assert_not_opened(tv_unit_path("absent"), -ENOENT, "No such file");
	assert_not_opened(tv_unit_file("file", "", 0), -EBADMSG, "has 0 bytes");
	assert_not_opened(tv_unit_path("file/below"), -ENOTDIR, "Not a directory");

	path = tv_unit_file("huge", "", 0);
	ck_assert_int_eq(truncate(path, (off_t)TV_SAFETENSORS_FILE_MAX + 1), 0);
	assert_not_opened(path, -EFBIG, "4294967297 bytes, at most");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("safetensors");
	TCase *refused = tcase_create("refused");
	TCase *read = tcase_create("read");
	TCase *opened = tcase_create("opened");

	tcase_add_loop_test(refused, refuses, 0, TV_ARRAY_SIZE(refusals));
	tcase_add_test(refused, refuses_every_truncation);
	tcase_add_test(refused, refuses_header_lengths);
	tcase_add_test(refused, bounds_the_header);
	tcase_add_test(refused, bounds_the_depth);
	tcase_add_test(refused, bounds_the_tensors);
	tcase_add_test(refused, shortens_long_names);
	suite_add_tcase(suite, refused);

	tcase_add_test(read, reads_tensors_in_the_order_of_their_data);
	tcase_add_test(read, reads_scalars_empty_tensors_and_metadata);
	tcase_add_test(read, reads_an_empty_file);
	tcase_add_test(read, knows_every_dtype);
	tcase_add_test(read, works_without_an_error);
	suite_add_tcase(suite, read);

	tcase_add_checked_fixture(opened, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(opened, opens_a_file);
	tcase_add_test(opened, refuses_to_open);
	suite_add_tcase(suite, opened);

	return tv_unit_main(suite);
}
