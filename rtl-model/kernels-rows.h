/* SPDX-License-Identifier: MIT */
/* dense() of a kernel set: its own dense_rows(), which stands before this is included, compiled
 * once for each number of rows up to the set's ROWS, so that their sums stay in registers. */
#if ROWS != 4 && ROWS != 6 && ROWS != 12
#error "cases for these many rows are missing here"
#endif

static void dense(const void *patches, size_t pitch, uint32_t rows, const void *weights,
		  uint32_t units, const struct tv_block *block, int32_t *ret)
{
#define CASE(n)                                                                                    \
	case n:                                                                                    \
		dense_rows(patches, pitch, n, weights, units, block, ret);                         \
		break
	switch (rows) {
		CASE(1);
		CASE(2);
		CASE(3);
#if ROWS > 4
		CASE(4);
		CASE(5);
#endif
#if ROWS > 6
		CASE(6);
		CASE(7);
		CASE(8);
		CASE(9);
		CASE(10);
		CASE(11);
#endif
	default:
		dense_rows(patches, pitch, ROWS, weights, units, block, ret);
	}
#undef CASE
}
