/* SPDX-License-Identifier: MIT */
#include "common/cleanup.h"
#include "rtl-model/command.h"

/* What an opcode may use; the rest of its fields must be zero. */
struct op_rules {
	const char *name;
	bool dense; /* groups, split and 16-output blocks */
	bool window; /* kernel, stride, padding */
	bool shortcut;
	bool second; /* stage 1 */
	bool pool; /* the output map is 1x1 */
	bool int16_output;
};

static const struct op_rules op_rules[] = {
	[TV_OP_CONV] = { "conv", .dense = true, .window = true, .shortcut = true,
			 .int16_output = true },
	[TV_OP_DEPTHWISE] = { "depthwise", .window = true, .shortcut = true },
	[TV_OP_SEPARABLE] = { "separable", .dense = true, .window = true, .shortcut = true,
			      .second = true },
	[TV_OP_POOL] = { "pool", .pool = true },
	[TV_OP_CONV_POOL] = { "conv+pool", .dense = true, .window = true, .second = true,
			      .pool = true },
	[TV_OP_ATTENTION] = { "attention" },
	[TV_OP_NORM] = { "norm" },
	[TV_OP_COPY] = { "copy" },
};

#define REFUSE_IF(condition, text)                                                                 \
	do {                                                                                       \
		if (condition)                                                                     \
			return text;                                                               \
	} while (0)

static bool operand_is(const struct tv_operand *operand, uint8_t segment)
{
	return operand->segment == segment;
}

static bool operand_absent(const struct tv_operand *operand)
{
	return operand_is(operand, TV_SEGMENT_NONE) && !operand->offset && !operand->pitch &&
	       !operand->format;
}

static bool operand_named(const struct tv_operand *operand)
{
	return operand->segment < TV_SEGMENT_COUNT || operand_is(operand, TV_SEGMENT_ONCHIP);
}

static bool stage_unused(const struct tv_stage *stage)
{
	return !stage->kernel && !stage->stride && !stage->activation && !stage->fraction &&
	       !stage->zero_point && !stage->split;
}

static bool pad_unused(const struct tv_command *command)
{
	return !command->pad[0] && !command->pad[1] && !command->pad[2] && !command->pad[3];
}

static const char *check_tensor(const struct tv_operand *operand, uint32_t channels)
{
	uint32_t bytes = tv_format_bytes(operand->format);

	REFUSE_IF(!operand_named(operand), "operand names no segment");
	REFUSE_IF(operand->pitch < channels * bytes, "pitch is less than a pixel's channels");
	REFUSE_IF(operand->format == TV_FORMAT_INT16 && (operand->offset | operand->pitch) & 1,
		  "int16 operand is not even");
	return NULL;
}

static const char *check_stage(const struct tv_stage *stage, bool window, bool dense,
			       const struct tv_target *target)
{
	REFUSE_IF(!(stage->kernel & 1) || stage->kernel > 7, "kernel is not 1, 3, 5 or 7");
	REFUSE_IF(stage->stride != 1 && stage->stride != 2, "stride is not 1 or 2");
	REFUSE_IF(!window && (stage->kernel != 1 || stage->stride != 1),
		  "kernel and stride of a stage without a window are not 1");
	REFUSE_IF(stage->activation > TV_STAGE_HARDSWISH, "unknown activation");
	REFUSE_IF(stage->fraction > TV_FRACTION_MAX, "fraction is above 12");
	REFUSE_IF(stage->fraction && stage->activation != TV_STAGE_HARDSWISH,
		  "fraction without Hardswish");
	REFUSE_IF(stage->split > (dense ? tv_target_split_max(target) : 0),
		  "split is more than the target's groups");
	return NULL;
}

/* Two tensors of the same map in one segment may be interleaved: the same pitch, and each in
 * columns of its own. Otherwise their ranges must be apart. */
static bool tensors_apart(const struct tv_operand *a, uint64_t a_size, uint32_t a_bytes,
			  const struct tv_operand *b, uint64_t b_size, uint32_t b_bytes)
{
	if (a->segment != b->segment)
		return true;
	if (a->offset >= b->offset + b_size || b->offset >= a->offset + a_size)
		return true;
	if (a->pitch != b->pitch)
		return false;
	if (a->offset < b->offset)
		return b->offset - a->offset >= a_bytes &&
		       b->offset - a->offset + b_bytes <= a->pitch;
	return a->offset - b->offset >= b_bytes && a->offset - b->offset + a_bytes <= a->pitch;
}

static uint32_t output_pixels_of(const struct tv_command *command, bool pool)
{
	return pool ? 1 : tv_map_height(command) * tv_map_width(command);
}

static const char *check_aliases(const struct tv_command *command, bool pool)
{
	const struct tv_operand *in = &command->input, *add = &command->shortcut;
	const struct tv_operand *out = &command->output, *weights = &command->weights;
	uint64_t in_pixels = (uint64_t)command->images * command->height * command->width;
	uint64_t out_pixels = (uint64_t)command->images * output_pixels_of(command, pool);
	uint32_t in_bytes = command->channels * tv_format_bytes(in->format);
	uint32_t out_bytes = command->out_channels * tv_format_bytes(out->format);
	uint64_t out_size = tv_operand_extent(out, out_pixels, command->out_channels);
	uint64_t weights_size = tv_weights_layout(command).size;

	REFUSE_IF(!tensors_apart(out, out_size, out_bytes, in,
				 tv_operand_extent(in, in_pixels, command->channels), in_bytes),
		  "output overlaps input");
	REFUSE_IF(out->segment == weights->segment && weights_size &&
			  out->offset < weights->offset + weights_size &&
			  weights->offset < out->offset + out_size,
		  "output overlaps weights");
	/* A shortcut may be replaced in place: each element is read before it is written. */
	if (!operand_is(add, TV_SEGMENT_NONE) &&
	    !(add->segment == out->segment && add->offset == out->offset &&
	      add->pitch == out->pitch && out->format == TV_FORMAT_INT8))
		REFUSE_IF(!tensors_apart(out, out_size, out_bytes, add,
					 tv_operand_extent(add, out_pixels, command->out_channels),
					 command->out_channels),
			  "output overlaps shortcut");
	return NULL;
}

static const char *check_copy(const struct tv_command *command)
{
	const struct tv_operand *in = &command->input, *out = &command->output;

	REFUSE_IF(!command->copy_bytes, "copy of nothing");
	REFUSE_IF(command->images || command->height || command->width || command->channels ||
			  command->out_channels || command->groups || command->head_dim,
		  "copy with a shape");
	REFUSE_IF(!operand_named(in) || !operand_named(out), "operand names no segment");
	REFUSE_IF(in->pitch || in->format || out->pitch || out->format,
		  "copy with a pitch or format");
	REFUSE_IF(!operand_absent(&command->shortcut) || !operand_absent(&command->weights),
		  "copy with a shortcut or weights");
	REFUSE_IF(!stage_unused(&command->stage[0]) || !stage_unused(&command->stage[1]) ||
			  !pad_unused(command) || command->tile_rows,
		  "copy with fields of a layer");
	REFUSE_IF(in->segment == out->segment &&
			  in->offset < (uint64_t)out->offset + command->copy_bytes &&
			  out->offset < (uint64_t)in->offset + command->copy_bytes,
		  "output overlaps input");
	return NULL;
}

static const char *check_shape(const struct tv_command *command, const struct op_rules *rules)
{
	const struct tv_stage *stage = &command->stage[0];
	uint32_t pixels = (uint32_t)command->height * command->width;

	REFUSE_IF(!command->images || !command->height || !command->width || !command->channels ||
			  !command->out_channels,
		  "a dimension is zero");
	if (rules->dense) {
		REFUSE_IF(!command->groups || command->channels % command->groups ||
				  command->out_channels % command->groups,
			  "groups do not divide the channels");
		/* In a chain the window is the depthwise stage's, the dense one is 1x1. */
		REFUSE_IF((command->opcode == TV_OP_SEPARABLE ? 1 : stage->kernel * stage->kernel) *
					  (command->channels / command->groups) >
				  TV_REDUCTION_MAX,
			  "reduction is longer than 65535");
	} else {
		REFUSE_IF(command->groups, "groups without a dense stage");
	}
	if (command->opcode == TV_OP_ATTENTION) {
		REFUSE_IF(!command->head_dim || command->head_dim % TV_LANE_INPUTS ||
				  command->head_dim > 256,
			  "head dimension is not a multiple of 8 up to 256");
		REFUSE_IF(command->channels % (3 * command->head_dim) ||
				  command->out_channels != command->channels / 3,
			  "channels are not (q, k, v) of whole heads");
		REFUSE_IF(pixels > TV_REDUCTION_MAX, "reduction is longer than 65535");
	} else {
		REFUSE_IF(command->head_dim, "head dimension without attention");
		REFUSE_IF(!rules->dense && command->out_channels != command->channels,
			  "output channels differ from the input's");
	}
	/* Of a pool the sum runs over the map that stage 0 puts out. */
	REFUSE_IF(rules->pool && output_pixels_of(command, false) > TV_REDUCTION_MAX,
		  "reduction is longer than 65535");
	REFUSE_IF(command->opcode == TV_OP_NORM && command->channels > TV_NORM_CHANNELS_MAX,
		  "layer norm of more than 16384 channels");
	REFUSE_IF(command->norm_epsilon && (command->opcode != TV_OP_NORM ||
					    command->norm_epsilon >= TV_NORM_EPSILON_LIMIT),
		  "epsilon without a layer norm, or too large");
	return NULL;
}

static const char *check_operands(const struct tv_command *command, const struct op_rules *rules)
{
	const struct tv_operand *in = &command->input, *out = &command->output;
	const struct tv_operand *weights = &command->weights;
	const char *why;

	REFUSE_IF(command->opcode == TV_OP_NORM ? in->format != TV_FORMAT_INT16 :
						  in->format > TV_FORMAT_UINT8,
		  "input format does not fit the opcode");
	REFUSE_IF(in->format == TV_FORMAT_UINT8 && !rules->window,
		  "input format does not fit the opcode");
	REFUSE_IF(out->format != TV_FORMAT_INT8 &&
			  !(rules->int16_output && out->format == TV_FORMAT_INT16),
		  "output format does not fit the opcode");
	why = check_tensor(in, command->channels);
	if (!why)
		why = check_tensor(out, command->out_channels);
	if (why)
		return why;
	if (operand_is(&command->shortcut, TV_SEGMENT_NONE)) {
		REFUSE_IF(!operand_absent(&command->shortcut) || command->shortcut_multiplier ||
				  command->shortcut_zero_point,
			  "absent shortcut with fields set");
	} else {
		REFUSE_IF(!rules->shortcut, "shortcut does not fit the opcode");
		REFUSE_IF(command->shortcut.format != TV_FORMAT_INT8, "shortcut is not int8");
		REFUSE_IF(command->shortcut_multiplier < 0, "shortcut multiplier is negative");
		why = check_tensor(&command->shortcut, command->out_channels);
		if (why)
			return why;
	}
	REFUSE_IF(!operand_named(weights), "operand names no segment");
	REFUSE_IF(weights->pitch || weights->format, "weights with a pitch or format");
	REFUSE_IF(weights->offset % TV_WEIGHTS_ALIGNMENT, "weights are not 64-byte aligned");
	return NULL;
}

static const char *check_padding(const struct tv_command *command, const struct op_rules *rules)
{
	bool padded = rules->window && command->stage[0].kernel > 1;
	unsigned int i;

	REFUSE_IF(!padded && !pad_unused(command), "padding without a window");
	for (i = 1; i < 4; i++)
		REFUSE_IF(command->channels > 4 ? command->pad[i] != command->pad[0] :
						  i >= command->channels && command->pad[i],
			  "padding of more than four channels differs, or of channels not there");
	return NULL;
}

const char *tv_command_check(const struct tv_command *command, const struct tv_target *target)
{
	const struct op_rules *rules;
	const struct tv_stage *last;
	const char *why;
	bool separable = command->opcode == TV_OP_SEPARABLE;

	REFUSE_IF(command->opcode >= TV_ARRAY_SIZE(op_rules) || !op_rules[command->opcode].name,
		  "unknown opcode");
	REFUSE_IF(command->flags & ~TV_COMMAND_YIELD, "unknown flag");
	if (command->opcode == TV_OP_COPY)
		return check_copy(command);
	REFUSE_IF(command->copy_bytes, "copy size without a copy");
	rules = &op_rules[command->opcode];
	why = check_stage(&command->stage[0], rules->window, rules->dense && !separable, target);
	if (!why && rules->second)
		why = check_stage(&command->stage[1], false, separable, target);
	if (why)
		return why;
	REFUSE_IF(!rules->second && !stage_unused(&command->stage[1]), "unused stage is not zero");
	if (command->opcode == TV_OP_ATTENTION || command->opcode == TV_OP_POOL)
		REFUSE_IF(command->stage[0].activation, "activation does not fit the opcode");
	if (command->opcode == TV_OP_ATTENTION)
		REFUSE_IF(command->stage[0].zero_point, "zero point of an attention is not 0");
	if (command->opcode == TV_OP_CONV_POOL)
		REFUSE_IF(command->stage[1].activation, "activation does not fit the opcode");
	why = check_shape(command, rules);
	if (!why)
		why = check_operands(command, rules);
	if (!why)
		why = check_padding(command, rules);
	if (!why)
		why = check_aliases(command, rules->pool);
	if (why)
		return why;
	last = &command->stage[rules->second];
	REFUSE_IF(command->output.format == TV_FORMAT_INT16 && last->zero_point,
		  "zero point of an int16 output");
	REFUSE_IF(command->tile_rows &&
			  (!rules->window || command->tile_rows > tv_map_height(command)),
		  "tile is higher than the map");
	return NULL;
}

const char *tv_channel_check(const struct tv_channel *channel, bool norm)
{
	REFUSE_IF(channel->bias <= -TV_BIAS_LIMIT || channel->bias >= TV_BIAS_LIMIT,
		  "bias is not below 2^30");
	REFUSE_IF(norm ? channel->multiplier == -32768 : channel->multiplier < 0,
		  "multiplier is out of range");
	REFUSE_IF(channel->narrow_multiplier < 0, "narrowing multiplier is negative");
	REFUSE_IF(channel->shift > 31, "shift is above 31");
	REFUSE_IF(channel->narrow_shift > 15, "narrowing shift is above 15");
	return NULL;
}

const char *tv_head_check(const struct tv_head *head)
{
	REFUSE_IF(head->product_multiplier < 0 || head->sum_multiplier < 0 ||
			  head->quotient_multiplier < 0,
		  "multiplier is negative");
	REFUSE_IF(head->product_shift > 31 || head->sum_shift > 31 || head->quotient_shift > 31,
		  "shift is above 31");
	REFUSE_IF(head->product_narrow > 15 || head->sum_narrow > 15,
		  "narrowing shift is above 15");
	REFUSE_IF(head->log2_base > TV_LOG2_BASE_MAX, "log2 base is above 16");
	return NULL;
}

static void add_tensor(struct tv_access *ret, unsigned int *count, const struct tv_operand *operand,
		       uint8_t right, uint64_t pixels, uint32_t channels)
{
	ret[(*count)++] = (struct tv_access){
		.segment = operand->segment,
		.right = right,
		.offset = operand->offset,
		.size = tv_operand_extent(operand, pixels, channels),
	};
}

unsigned int tv_command_accesses(const struct tv_command *command,
				 struct tv_access ret[TV_ACCESSES_MAX])
{
	uint64_t in_pixels = (uint64_t)command->images * command->height * command->width;
	uint64_t out_pixels, weights;
	unsigned int count = 0;

	if (command->opcode == TV_OP_COPY) {
		ret[count++] = (struct tv_access){ command->input.segment, TV_SEGMENT_READ,
						   command->input.offset, command->copy_bytes };
		ret[count++] = (struct tv_access){ command->output.segment, TV_SEGMENT_WRITE,
						   command->output.offset, command->copy_bytes };
		return count;
	}
	weights = tv_weights_layout(command).size;
	ret[count++] = (struct tv_access){ command->weights.segment, TV_SEGMENT_READ,
					   command->weights.offset, weights };
	add_tensor(ret, &count, &command->input, TV_SEGMENT_READ, in_pixels, command->channels);
	out_pixels = (uint64_t)command->images *
		     output_pixels_of(command, op_rules[command->opcode].pool);
	if (command->shortcut.segment != TV_SEGMENT_NONE)
		add_tensor(ret, &count, &command->shortcut, TV_SEGMENT_READ, out_pixels,
			   command->out_channels);
	add_tensor(ret, &count, &command->output, TV_SEGMENT_WRITE, out_pixels,
		   command->out_channels);
	return count;
}

uint64_t tv_command_macs(const struct tv_command *command)
{
	const struct tv_stage *stage = &command->stage[0];
	uint64_t taps = (uint64_t)stage->kernel * stage->kernel, pixels, macs = 0;
	struct tv_dense dense;

	if (command->opcode == TV_OP_COPY)
		return 0;
	pixels = (uint64_t)command->images * tv_map_height(command) * tv_map_width(command);
	switch (command->opcode) {
	case TV_OP_DEPTHWISE:
	case TV_OP_SEPARABLE:
		macs = pixels * command->channels * taps;
		break;
	case TV_OP_ATTENTION:
		/* k^T v, sum(k), dividend and divisor, as the network counts them */
		return pixels * command->out_channels * 2 * (command->head_dim + 1);
	}
	if (op_rules[command->opcode].dense) {
		dense = tv_dense_of(command);
		macs += pixels * command->out_channels * dense.reduction;
	}
	return macs;
}

struct tv_operand tv_weights_source(const struct tv_command *commands, uint32_t i)
{
	const struct tv_operand weights = commands[i].weights;

	for (uint32_t j = i; weights.segment == TV_SEGMENT_ONCHIP && j-- > 0;)
		if (commands[j].opcode == TV_OP_COPY &&
		    commands[j].output.segment == TV_SEGMENT_ONCHIP &&
		    commands[j].output.offset == weights.offset)
			return commands[j].input;
	return weights;
}

const char *tv_opcode_name(unsigned int opcode)
{
	return opcode < TV_ARRAY_SIZE(op_rules) && op_rules[opcode].name ? op_rules[opcode].name :
									   "unknown";
}

const char *tv_fault_name(enum tv_fault fault)
{
	static const char *const names[] = {
		[TV_FAULT_NONE] = "none",
		[TV_FAULT_BAD_JOB] = "bad job",
		[TV_FAULT_BAD_TARGET] = "bad target",
		[TV_FAULT_BAD_COMMAND] = "bad command",
		[TV_FAULT_SEGMENT] = "segment violation",
		[TV_FAULT_BUS] = "bus error",
		[TV_FAULT_WATCHDOG] = "watchdog",
	};

	return (unsigned int)fault < TV_ARRAY_SIZE(names) ? names[fault] : "unknown";
}
