/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a program is: a header, then commands of 128 bytes, each one layer or one fused chain. The
 * compiler writes them, the accelerator and its models execute them; docs/hardware.md has the
 * prose, docs/numerics.md the arithmetic.
 *
 * A program has no addresses. Its operands are (segment, offset): a job names up to 8 segments of
 * memory, written by the driver alone, and the accelerator checks each access against them. One
 * more segment is the accelerator's own on-chip memory, which reads as zero when a job begins.
 *
 * Everything in memory is little-endian and is taken apart here, byte by byte, so that no reader
 * assumes an alignment or a byte order.
 */
#ifndef TRIOVIT_COMMAND_H
#define TRIOVIT_COMMAND_H

#include <triovit/numerics.h>

#define TV_CONTRACT_VERSION    1
#define TV_PROGRAM_MAGIC       0x54495654u /* "TVIT" */
#define TV_PROGRAM_HEADER_SIZE 64
#define TV_COMMAND_SIZE	       128
#define TV_COMMANDS_MAX	       65535

/* Which configuration a program is compiled for; docs/hardware.md has the table. */
enum tv_target_id {
	TV_TARGET_ZCU102 = 1,
	TV_TARGET_KV260 = 2,
	TV_TARGET_ZC706 = 3,
	TV_TARGET_ZYNQ7020 = 4,
	TV_TARGET_CUSTOM = 0x8000, /* and above: made by users, never assigned here */
};

/* Segments of a job by role. The roles of the first five are fixed, so that a driver knows which
 * buffer is which without reading the program. */
enum tv_segment_id {
	TV_SEGMENT_PROGRAM = 0, /* never writable */
	TV_SEGMENT_WEIGHTS = 1, /* never writable while a command reads weights from it */
	TV_SEGMENT_INPUT = 2,
	TV_SEGMENT_OUTPUT = 3,
	TV_SEGMENT_SCRATCH = 4,
	TV_SEGMENT_COUNT = 8,
	TV_SEGMENT_ONCHIP = 8,
	TV_SEGMENT_NONE = 255, /* the operand is absent */
};

#define TV_SEGMENT_READ	 1u
#define TV_SEGMENT_WRITE 2u

/* Why a job ended early. Functional and cycle model, device and driver report the same. */
enum tv_fault {
	TV_FAULT_NONE = 0,
	TV_FAULT_BAD_JOB = 1, /* descriptor or program header malformed; no command was executed */
	TV_FAULT_BAD_TARGET = 2, /* contract version or target id is another */
	TV_FAULT_BAD_COMMAND = 3, /* a field or a parameter record is out of its range */
	TV_FAULT_SEGMENT = 4, /* an operand lies outside its segment or lacks the right */
	TV_FAULT_BUS = 5, /* memory answered with an error */
	TV_FAULT_WATCHDOG = 6,
};

/* Instead of a command's index: the fault is the job's, no command was looked at. */
#define TV_RECORD_NO_COMMAND 0xffffffffu

enum tv_opcode {
	TV_OP_CONV = 1, /* stage 0: any dense or grouped convolution */
	TV_OP_DEPTHWISE = 2, /* stage 0: one filter a channel */
	TV_OP_SEPARABLE = 3, /* stage 0: depthwise, stage 1: 1x1, dense or grouped */
	TV_OP_POOL = 4, /* stage 0: sum over the map */
	TV_OP_CONV_POOL = 5, /* stage 0: convolution, stage 1: sum over the map */
	TV_OP_ATTENTION = 6, /* ReLU linear attention over a map of (q, k, v) triples */
	TV_OP_NORM = 7, /* stage 0: layer norm of int16 over the channels */
	TV_OP_COPY = 8, /* bytes, unchanged; how weights are brought on chip early */
};

enum tv_format {
	TV_FORMAT_INT8 = 0,
	TV_FORMAT_UINT8 = 1, /* read as p - 128; inputs only */
	TV_FORMAT_INT16 = 2,
};

enum tv_stage_activation {
	TV_STAGE_LINEAR = 0,
	TV_STAGE_RELU = 1,
	TV_STAGE_HARDSWISH = 2,
};

/* The job may be preempted after this command. Reserved: must be accepted, does nothing yet. */
#define TV_COMMAND_YIELD 1u

/* A tensor in memory: images x height x width pixels, each pixel's channels together, pixels pitch
 * bytes apart, images height * width * pitch bytes apart. 8 bytes. */
struct tv_operand {
	uint32_t offset; /* bytes from the segment's start */
	uint16_t pitch; /* 0 for weights and for an absent operand */
	uint8_t segment; /* enum tv_segment_id */
	uint8_t format; /* enum tv_format */
};

/* One step of a chain: how it walks its input and what its epilogue does. 8 bytes. */
struct tv_stage {
	uint8_t kernel; /* 1, 3, 5 or 7; the map is padded by kernel / 2 on each side */
	uint8_t stride; /* 1 or 2 */
	uint8_t activation; /* enum tv_stage_activation */
	uint8_t fraction; /* of the int16 that Hardswish reads, at most 12; else 0 */
	int8_t zero_point; /* added by the narrowing; 0 for int16 output */
	uint8_t split; /* log2 of the output blocks computed at once; orders the weights */
};

/*
 * A command, taken apart. Fields that an opcode does not use are zero (TV_SEGMENT_NONE for
 * operands), as are the reserved bytes: the accelerator refuses a command where they are not.
 */
struct tv_command {
	uint8_t opcode; /* enum tv_opcode */
	uint8_t flags;
	uint16_t images; /* of the input, one after the other; also the rows of a linear layer */
	uint16_t height, width; /* of the input map */
	uint16_t channels; /* of the input; attention: 3 * heads * head_dim */
	uint16_t out_channels; /* of the output; COPY: 0 */
	uint16_t groups; /* of the dense stage: 1, or grouped */
	uint16_t head_dim; /* attention */
	struct tv_operand input;
	struct tv_operand shortcut; /* added in the last stage: shape and channels of the output */
	struct tv_operand output;
	struct tv_operand weights; /* layout: tv_weights_layout() */
	/* What a convolution reads outside the map: channel c reads pad[c] where there are at most
	 * four channels, else all four are the same. The input's zero point. */
	int8_t pad[4];
	struct tv_stage stage[2];
	int16_t shortcut_multiplier;
	int8_t shortcut_zero_point;
	uint64_t norm_epsilon; /* see tv_norm_prepare() */
	uint32_t copy_bytes; /* COPY */
	/* Placement: never changes the bits. */
	uint16_t tile_rows; /* output rows between two changes of the engines' roles; 0: all */
};

/* What every program begins with. 64 bytes. */
struct tv_program_header {
	uint32_t magic;
	uint16_t contract;
	uint16_t target; /* enum tv_target_id */
	uint32_t commands; /* they follow at once */
	uint16_t images; /* that one job works on */
	uint16_t writable; /* bit i: segment i must be writable */
	uint32_t onchip; /* bytes of on-chip memory that operands use; the rest streams weights */
	uint32_t segment[TV_SEGMENT_COUNT]; /* least size of each; 0: not used */
};

/* Parameters of one output channel: 12 bytes. In a layer norm multiplier is gamma (signed), shift
 * its s, bias beta. */
#define TV_CHANNEL_SIZE 12
struct tv_channel {
	int32_t bias; /* |bias| < TV_BIAS_LIMIT */
	int16_t multiplier; /* of tv_requantize(), not negative */
	int16_t narrow_multiplier; /* not negative */
	int16_t constant; /* subtracted before narrowing */
	uint8_t shift; /* at most 31 */
	uint8_t narrow_shift; /* at most 15 */
};

/* Parameters of one attention head: 12 bytes. Multipliers are not negative. */
#define TV_HEAD_SIZE 12
struct tv_head {
	int16_t product_multiplier, sum_multiplier; /* k^T v, sum(k): tv_requantize_head() */
	int16_t quotient_multiplier; /* tv_shift_divide() */
	uint8_t product_shift, sum_shift; /* at most 31 */
	uint8_t quotient_shift; /* r, at most 31 */
	uint8_t log2_base; /* k0, at most TV_LOG2_BASE_MAX */
	uint8_t product_narrow, sum_narrow; /* the second shift, at most 15 */
};

/* --- bytes --------------------------------------------------------------------------------- */

static inline uint16_t tv_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t tv_get32(const uint8_t *p)
{
	return tv_get16(p) | (uint32_t)tv_get16(p + 2) << 16;
}

static inline uint64_t tv_get64(const uint8_t *p)
{
	return tv_get32(p) | (uint64_t)tv_get32(p + 4) << 32;
}

static inline void tv_put16(uint8_t *p, uint16_t x)
{
	p[0] = (uint8_t)x;
	p[1] = (uint8_t)(x >> 8);
}

static inline void tv_put32(uint8_t *p, uint32_t x)
{
	tv_put16(p, (uint16_t)x);
	tv_put16(p + 2, (uint16_t)(x >> 16));
}

static inline void tv_put64(uint8_t *p, uint64_t x)
{
	tv_put32(p, (uint32_t)x);
	tv_put32(p + 4, (uint32_t)(x >> 32));
}

/*
 * The encodings, each once: a list of (width in bits, byte offset, field) that the functions below
 * expand into stores, loads and the mask of bytes that must be zero.
 */
#define TV_OPERAND_FIELDS(X, at, o)                                                                \
	X(32, (at) + 0, o.offset)                                                                  \
	X(16, (at) + 4, o.pitch)                                                                   \
	X(8, (at) + 6, o.segment)                                                                  \
	X(8, (at) + 7, o.format)

#define TV_STAGE_FIELDS(X, at, s)                                                                  \
	X(8, (at) + 0, s.kernel)                                                                   \
	X(8, (at) + 1, s.stride)                                                                   \
	X(8, (at) + 2, s.activation)                                                               \
	X(8, (at) + 3, s.fraction)                                                                 \
	X(8, (at) + 4, s.zero_point)                                                               \
	X(8, (at) + 5, s.split)

#define TV_COMMAND_FIELDS(X)                                                                       \
	X(8, 0, opcode)                                                                            \
	X(8, 1, flags)                                                                             \
	X(16, 2, images)                                                                           \
	X(16, 4, height)                                                                           \
	X(16, 6, width)                                                                            \
	X(16, 8, channels)                                                                         \
	X(16, 10, out_channels)                                                                    \
	X(16, 12, groups)                                                                          \
	X(16, 14, head_dim)                                                                        \
	TV_OPERAND_FIELDS(X, 16, input)                                                            \
	TV_OPERAND_FIELDS(X, 24, shortcut)                                                         \
	TV_OPERAND_FIELDS(X, 32, output)                                                           \
	TV_OPERAND_FIELDS(X, 40, weights)                                                          \
	X(8, 48, pad[0])                                                                           \
	X(8, 49, pad[1])                                                                           \
	X(8, 50, pad[2])                                                                           \
	X(8, 51, pad[3])                                                                           \
	TV_STAGE_FIELDS(X, 52, stage[0])                                                           \
	TV_STAGE_FIELDS(X, 60, stage[1])                                                           \
	X(16, 68, shortcut_multiplier)                                                             \
	X(8, 70, shortcut_zero_point)                                                              \
	X(64, 72, norm_epsilon)                                                                    \
	X(32, 80, copy_bytes)                                                                      \
	X(16, 96, tile_rows)

#define TV_CHANNEL_FIELDS(X)                                                                       \
	X(32, 0, bias)                                                                             \
	X(16, 4, multiplier)                                                                       \
	X(16, 6, narrow_multiplier)                                                                \
	X(16, 8, constant)                                                                         \
	X(8, 10, shift)                                                                            \
	X(8, 11, narrow_shift)

#define TV_HEAD_FIELDS(X)                                                                          \
	X(16, 0, product_multiplier)                                                               \
	X(16, 2, sum_multiplier)                                                                   \
	X(16, 4, quotient_multiplier)                                                              \
	X(8, 6, product_shift)                                                                     \
	X(8, 7, sum_shift)                                                                         \
	X(8, 8, quotient_shift)                                                                    \
	X(8, 9, log2_base)                                                                         \
	X(8, 10, product_narrow)                                                                   \
	X(8, 11, sum_narrow)

#define TV_HEADER_FIELDS(X)                                                                        \
	X(32, 0, magic)                                                                            \
	X(16, 4, contract)                                                                         \
	X(16, 6, target)                                                                           \
	X(32, 8, commands)                                                                         \
	X(16, 12, images)                                                                          \
	X(16, 14, writable)                                                                        \
	X(32, 16, onchip)                                                                          \
	X(32, 20, segment[0])                                                                      \
	X(32, 24, segment[1])                                                                      \
	X(32, 28, segment[2])                                                                      \
	X(32, 32, segment[3])                                                                      \
	X(32, 36, segment[4])                                                                      \
	X(32, 40, segment[5])                                                                      \
	X(32, 44, segment[6])                                                                      \
	X(32, 48, segment[7])

#define TV_GET_8(p)	(*(p))
#define TV_GET_16(p)	tv_get16(p)
#define TV_GET_32(p)	tv_get32(p)
#define TV_GET_64(p)	tv_get64(p)
#define TV_PUT_8(p, x)	(*(p) = (uint8_t)(x))
#define TV_PUT_16(p, x) tv_put16(p, (uint16_t)(x))
#define TV_PUT_32(p, x) tv_put32(p, (uint32_t)(x))
#define TV_PUT_64(p, x) tv_put64(p, (uint64_t)(x))

#define TV_DECODE_FIELD(bits, at, field) ret->field = TV_GET_##bits(bytes + (at));
#define TV_ENCODE_FIELD(bits, at, field) TV_PUT_##bits(ret + (at), from->field);

/*
 * tv_decode_x(): from size bytes; returns 0, or -1 where a reserved byte is not zero (*ret is
 * filled all the same). tv_encode_x(): to size bytes, reserved ones zero.
 */
#define TV_DEFINE_CODEC(name, size, fields)                                                        \
	static inline void tv_encode_##name(const struct tv_##name *from, uint8_t *ret)            \
	{                                                                                          \
		unsigned int i;                                                                    \
                                                                                                   \
		for (i = 0; i < (size); i++)                                                       \
			ret[i] = 0;                                                                \
		fields(TV_ENCODE_FIELD)                                                            \
	}                                                                                          \
                                                                                                   \
	static inline int tv_decode_##name(const uint8_t *bytes, struct tv_##name *ret)            \
	{                                                                                          \
		uint8_t again[size];                                                               \
		unsigned int i;                                                                    \
                                                                                                   \
		fields(TV_DECODE_FIELD) tv_encode_##name(ret, again);                              \
		for (i = 0; i < (size); i++)                                                       \
			if (again[i] != bytes[i])                                                  \
				return -1;                                                         \
		return 0;                                                                          \
	}

TV_DEFINE_CODEC(command, TV_COMMAND_SIZE, TV_COMMAND_FIELDS)
TV_DEFINE_CODEC(channel, TV_CHANNEL_SIZE, TV_CHANNEL_FIELDS)
TV_DEFINE_CODEC(head, TV_HEAD_SIZE, TV_HEAD_FIELDS)
TV_DEFINE_CODEC(program_header, TV_PROGRAM_HEADER_SIZE, TV_HEADER_FIELDS)

#endif
