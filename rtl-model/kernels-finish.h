/* SPDX-License-Identifier: MIT */
/*
 * The epilogue on vectors, for the file of a kernel set to include behind its own
 *
 *	v16: 16 int16, in the order of the channels
 *	w16: 16 int32, in the order of the accumulators
 *
 * and the functions on them that are used here, named for what they do. docs/numerics.md, section
 * 3, has the steps; the scalar kernels are the same by numerics.h itself.
 */
static inline v16 finish_activate(v16 t, uint8_t activation, unsigned int fraction)
{
	v16 u;

	if (activation == TV_STAGE_RELU)
		return v16_max(t, v16_all(0));
	if (activation != TV_STAGE_HARDSWISH)
		return t;
	u = v16_add_saturated(t, v16_all((int16_t)(3 << fraction)));
	u = v16_min(v16_max(u, v16_all(0)), v16_all((int16_t)(6 << fraction)));
	u = v16_shift_left(u, TV_FRACTION_MAX - fraction);
	return v16_multiply15(t, v16_add_saturated(u, v16_multiply15(u, v16_all(10923))));
}

static inline v16 finish_shortcut(const struct tv_epilogue *epilogue, const uint8_t *bytes,
				  uint32_t lanes, v16 t)
{
	uint8_t few[TV_BLOCK_OUTPUTS] = { 0 };
	v16 q;

	if (lanes < TV_BLOCK_OUTPUTS)
		bytes = memcpy(few, bytes, lanes);
	q = v16_subtract_saturated(v16_widen(bytes), v16_all(epilogue->shortcut_zero_point));
	q = v16_multiply15(v16_shift_left(q, 7), v16_all(epilogue->shortcut_multiplier));
	return v16_add_saturated(t, q);
}

static inline v16 finish_narrow(const struct tv_block *block, int8_t zero_point, v16 t)
{
	t = v16_multiply15(t, v16_load(block->narrow_multiplier));
	if (block->doubled)
		t = v16_add_saturated(t, v16_and(t, v16_load(block->double_mask)));
	t = v16_multiply15(t, v16_load(block->narrow_scale));
	return v16_add_saturated(t, v16_all(zero_point));
}

static inline void finish_store(const struct tv_epilogue *epilogue, const struct tv_block *block,
				v16 t, uint8_t *output)
{
	uint8_t all[2 * TV_BLOCK_OUTPUTS];
	bool few = block->lanes < TV_BLOCK_OUTPUTS;
	uint8_t *to = few ? all : output;

	if (epilogue->int16)
		v16_store(to, t);
	else
		v16_store_narrow(to, finish_narrow(block, epilogue->stage->zero_point, t));
	if (few)
		memcpy(output, all, epilogue->int16 ? 2 * block->lanes : block->lanes);
}

static inline __attribute__((always_inline)) void
finish_rows(const struct tv_epilogue *epilogue, const struct tv_block *block,
	    const int32_t *accumulators, uint32_t rows, uint32_t pixel, uint8_t *output,
	    size_t pitch, uint8_t activation)
{
	const unsigned int fraction = epilogue->stage->fraction;
	const uint8_t *shortcut = epilogue->shortcut;

	output += block->first * (epilogue->int16 ? 2u : 1u);
	if (shortcut)
		shortcut += pixel * epilogue->shortcut_pitch + block->first;
	for (uint32_t r = 0; r < rows; r++, accumulators += TV_BLOCK_OUTPUTS, output += pitch) {
		w16 acc = w16_load(accumulators);
		v16 t;

		if (block->far)
			acc = w16_add(w16_shift_right(acc, w16_load(block->far_shift)),
				      w16_load(block->far_half));
		t = w16_saturate(w16_shift_right(acc, w16_load(block->shift)));
		t = v16_multiply15(t, v16_load(block->multiplier));
		t = finish_activate(t, activation, fraction);
		if (shortcut) {
			t = finish_shortcut(epilogue, shortcut, block->lanes, t);
			shortcut += epilogue->shortcut_pitch;
		}
		t = v16_subtract_saturated(t, v16_load(block->constant));
		finish_store(epilogue, block, t, output);
	}
}

static void finish(const struct tv_epilogue *epilogue, const struct tv_block *block,
		   const int32_t *accumulators, uint32_t rows, uint32_t pixel, uint8_t *output,
		   size_t pitch)
{
	switch (epilogue->stage->activation) {
	case TV_STAGE_HARDSWISH:
		finish_rows(epilogue, block, accumulators, rows, pixel, output, pitch,
			    TV_STAGE_HARDSWISH);
		break;
	case TV_STAGE_RELU:
		finish_rows(epilogue, block, accumulators, rows, pixel, output, pitch,
			    TV_STAGE_RELU);
		break;
	default:
		finish_rows(epilogue, block, accumulators, rows, pixel, output, pitch,
			    TV_STAGE_LINEAR);
	}
}
