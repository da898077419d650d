/* SPDX-License-Identifier: MIT */
/* The whole contract, compiled as a kernel would: no floating point or vector registers. That it
 * compiles is the test. */
#include <triovit/golden.h>
#include <triovit/regs.h>

int32_t tv_general_regs(const int16_t *x, uint8_t *bytes, uint32_t d);

int32_t tv_general_regs(const int16_t *x, uint8_t *bytes, uint32_t d)
{
	struct tv_norm norm = tv_norm_prepare(x[0], x[1], x[2] * 3, d);
	struct tv_program_header header;
	struct tv_channel channel;
	struct tv_command command;
	struct tv_head head;
	struct tv_completion completion;
	struct tv_descriptor job;
	int32_t r;

	r = tv_decode_program_header(bytes, &header) + tv_decode_descriptor(bytes, &job) +
	    tv_decode_channel(bytes, &channel) + tv_decode_head(bytes, &head) +
	    tv_decode_command(bytes, &command);
	r += tv_decode_completion(bytes, &completion);
	tv_encode_command(&command, bytes);
	tv_golden_build((uint16_t)d, bytes, bytes, bytes);
	r += (int32_t)tv_golden_digest(bytes);
	r += (int32_t)tv_weights_layout(&command).size;
	r += tv_narrow(tv_hardswish(tv_requantize((int32_t)d, 3, x[3]), 9), x[4], 5, 1);
	r += tv_add_shortcut(tv_relu(x[5]), 1, 2, 3) + tv_input_byte(bytes[0]);
	r += tv_shift_divide((int32_t)d, x[6], 3, tv_log2_divisor(d, 4));
	r += tv_requantize_head((int32_t)d, 3, x[7], 5) + tv_subtract_constant(x[8], x[9]);
	r += tv_norm_apply(&norm, x[10], x[11], 3, 4) + (int32_t)tv_argmax(x, 4);
	return r;
}
