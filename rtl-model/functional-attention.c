/* SPDX-License-Identifier: MIT */
/* ReLU linear attention: docs/numerics.md, section 6. */
#include <errno.h>
#include <string.h>

#include "rtl-model/functional-private.h"

#define DIM_MAX 256

/* One head of one image. */
struct head {
	const struct tv_head *record;
	const uint8_t *input; /* q, then k, then v of the first token */
	size_t input_pitch;
	uint8_t *output;
	size_t output_pitch;
	int8_t *seen;
	size_t seen_pitch;
	uint32_t tokens, dim;
	int32_t *product; /* k^T v, [k's channel][v's channel] */
	int16_t *factors; /* the same, as int8 values */
	int32_t sum[DIM_MAX]; /* of k */
	int16_t sum_factors[DIM_MAX];
};

static void read_channels(const uint8_t *restrict bytes, uint32_t dim, int16_t *restrict ret)
{
	for (uint32_t i = 0; i < dim; i++)
		ret[i] = (int8_t)bytes[i];
}

static void read_positive(const uint8_t *restrict bytes, uint32_t dim, int16_t *restrict ret)
{
	for (uint32_t i = 0; i < dim; i++)
		ret[i] = tv_relu((int8_t)bytes[i]);
}

/* ret += factor * row */
static void add_row(int16_t factor, const int16_t *restrict row, uint32_t dim,
		    int32_t *restrict ret)
{
	for (uint32_t i = 0; i < dim; i++)
		ret[i] += factor * row[i];
}

static void sum_tokens(struct head *head)
{
	const uint8_t *token = head->input;
	int16_t k[DIM_MAX], v[DIM_MAX];
	uint32_t dim = head->dim;

	memset(head->product, 0, (size_t)dim * dim * sizeof(*head->product));
	memset(head->sum, 0, sizeof(head->sum));
	for (uint32_t t = 0; t < head->tokens; t++, token += head->input_pitch) {
		read_positive(token + dim, dim, k);
		read_channels(token + 2 * dim, dim, v);
		for (uint32_t i = 0; i < dim; i++) {
			add_row(k[i], v, dim, head->product + (size_t)i * dim);
			head->sum[i] += k[i];
		}
	}
}

static void requantize_sums(struct head *head)
{
	const struct tv_head *record = head->record;

	for (uint32_t i = 0; i < head->dim * head->dim; i++)
		head->factors[i] = tv_requantize_head(head->product[i], record->product_shift,
						      record->product_multiplier,
						      record->product_narrow);
	for (uint32_t i = 0; i < head->dim; i++)
		head->sum_factors[i] = tv_requantize_head(head->sum[i], record->sum_shift,
							  record->sum_multiplier,
							  record->sum_narrow);
}

static void divide_tokens(const struct head *head)
{
	const struct tv_head *record = head->record;
	const uint8_t *token = head->input;
	uint8_t *output = head->output;
	int8_t *seen = head->seen;
	int32_t dividends[DIM_MAX], divisor;
	uint32_t dim = head->dim;
	int16_t q[DIM_MAX];
	unsigned int k;

	for (uint32_t t = 0; t < head->tokens; t++) {
		read_positive(token, dim, q);
		memset(dividends, 0, sizeof(dividends));
		divisor = 0;
		for (uint32_t i = 0; i < dim; i++) {
			add_row(q[i], head->factors + (size_t)i * dim, dim, dividends);
			divisor += q[i] * head->sum_factors[i];
		}
		k = tv_log2_divisor((uint32_t)divisor, record->log2_base);
		for (uint32_t i = 0; i < dim; i++)
			output[i] = (uint8_t)tv_shift_divide(dividends[i],
							     record->quotient_multiplier,
							     record->quotient_shift, k);
		if (seen) {
			memcpy(seen, output, dim);
			seen += head->seen_pitch;
		}
		token += head->input_pitch;
		output += head->output_pitch;
	}
}

int tv_execute_attention(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	const uint32_t dim = command->head_dim, heads = command->out_channels / dim;
	const uint32_t tokens = (uint32_t)command->height * command->width;
	_cleanup_free_ int32_t *product = TV_NEW_ARRAY(int32_t, (size_t)dim * dim);
	_cleanup_free_ int16_t *factors = TV_NEW_ARRAY(int16_t, (size_t)dim * dim);
	struct head head = {
		.input_pitch = command->input.pitch,
		.output_pitch = command->output.pitch,
		.seen_pitch = command->out_channels,
		.tokens = tokens,
		.dim = dim,
		.product = product,
		.factors = factors,
	};

	if (!product || !factors)
		return tv_error_oom(error);
	for (uint32_t image = 0; image < command->images; image++)
		for (uint32_t h = 0; h < heads; h++) {
			size_t first = (size_t)image * tokens;

			if (tv_canceled(execution))
				return -ECANCELED;
			head.record = &execution->parameters->heads[h];
			head.input = execution->input + first * head.input_pitch + 3 * h * dim;
			head.output = execution->output + first * head.output_pitch + h * dim;
			if (execution->seen[0])
				head.seen = (int8_t *)execution->seen[0] + first * head.seen_pitch +
					    h * dim;
			sum_tokens(&head);
			requantize_sums(&head);
			divide_tokens(&head);
		}
	return 0;
}
