/* SPDX-License-Identifier: MIT */
#include "rtl-model/functional-private.h"

static uint32_t head_count(const struct tv_command *command)
{
	return command->channels / (3u * command->head_dim);
}

/* Records have no reserved bytes: decoding one cannot fail. */
static int read_heads(const struct tv_command *command, const uint8_t *records,
		      struct tv_head **ret, struct tv_bad_record *ret_bad, struct tv_error *error)
{
	uint32_t count = head_count(command);
	struct tv_head *heads = TV_NEW_ARRAY(struct tv_head, count);

	if (!heads)
		return tv_error_oom(error);
	for (uint32_t i = 0; i < count && !ret_bad->why; i++) {
		ret_bad->offset = (uint64_t)i * TV_HEAD_SIZE;
		tv_decode_head(records + ret_bad->offset, &heads[i]);
		ret_bad->why = tv_head_check(&heads[i]);
	}
	*ret = heads;
	return 0;
}

static int read_channels(uint32_t count, bool norm, const uint8_t *records, struct tv_channel **ret,
			 struct tv_bad_record *ret_bad, struct tv_error *error)
{
	struct tv_channel *channels = TV_NEW_ARRAY(struct tv_channel, count);

	if (!channels)
		return tv_error_oom(error);
	for (uint32_t i = 0; i < count && !ret_bad->why; i++) {
		ret_bad->offset = (uint64_t)i * TV_CHANNEL_SIZE;
		tv_decode_channel(records + ret_bad->offset, &channels[i]);
		ret_bad->why = tv_channel_check(&channels[i], norm);
	}
	*ret = channels;
	return 0;
}

int tv_parameters_read(const struct tv_command *command, const uint8_t *weights,
		       struct tv_parameters *ret, struct tv_bad_record *ret_bad,
		       struct tv_error *error)
{
	const struct tv_weights_layout layout = tv_weights_layout(command);
	struct tv_bad_record bad = { 0 };
	unsigned int stage, stages = 1;
	uint32_t count;
	int r = 0;

	switch (command->opcode) {
	case TV_OP_COPY:
		stages = 0;
		break;
	case TV_OP_SEPARABLE:
	case TV_OP_CONV_POOL:
		stages = 2;
		break;
	}
	for (stage = 0; stage < stages && r >= 0 && !bad.why; stage++) {
		const uint8_t *records = weights + layout.records[stage];

		if (command->opcode == TV_OP_ATTENTION) {
			r = read_heads(command, records, &ret->heads, &bad, error);
		} else {
			count = stage || command->opcode != TV_OP_SEPARABLE ?
					command->out_channels :
					command->channels;
			r = read_channels(count, command->opcode == TV_OP_NORM, records,
					  &ret->channels[stage], &bad, error);
		}
		bad.offset += layout.records[stage];
	}
	*ret_bad = bad;
	return r;
}

void tv_parameters_done(struct tv_parameters *parameters)
{
	free(parameters->channels[0]);
	free(parameters->channels[1]);
	free(parameters->heads);
}
