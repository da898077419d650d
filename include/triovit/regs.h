/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a driver sees of the accelerator: its registers, the descriptor of a job and the record of
 * its end. docs/hardware.md has the prose: order of events, states of a job, and what happens on
 * each mistake of a driver.
 *
 * The window is TV_REG_WINDOW bytes of 32-bit registers, to be read and written as 32 aligned bits
 * and in little-endian order; other accesses read 0 and write nothing, as do offsets without a
 * register. Bits without a name read 0; what is written to them is lost.
 */
#ifndef TRIOVIT_REGS_H
#define TRIOVIT_REGS_H

#include <triovit/command.h>

#define TV_REG_WINDOW 4096

/* --- identification and capabilities: constant ------------------------------------------------ */

/* Read first, and nothing else where another value is found: where no accelerator answers, some
 * buses read as 0 or as all ones. */
#define TV_REG_ID      0x000
#define TV_REG_VERSION 0x004 /* 31:16 TV_DEVICE_VERSION, 15:0 TV_CONTRACT_VERSION */
#define TV_REG_TARGET  0x008 /* enum tv_target_id */
#define TV_REG_ENGINES 0x00c /* 31:16 outputs a cycle of the epilogue, 15:0 groups */
#define TV_REG_ONCHIP  0x010 /* bytes of on-chip memory */
#define TV_REG_CLOCK   0x014 /* kHz that the cycle counter is built for */
#define TV_REG_DRAM    0x018 /* 10^6 bytes a second that the memory ports are built for */
#define TV_REG_LIMITS  0x01c /* 15:8 log2 of the most ring entries, 7:0 bits of an address */

#define TV_DEVICE_ID	    0x56495254u /* "TRIV" */
#define TV_DEVICE_VERSION   1
#define TV_RING_ENTRIES_MIN 2
#define TV_RING_ORDER_MAX   12 /* log2; what TV_REG_LIMITS says of all built so far */

/* --- control ---------------------------------------------------------------------------------- */

#define TV_REG_CONTROL	  0x020
#define TV_REG_STATUS	  0x024 /* read only */
#define TV_REG_IRQ_STATUS 0x028 /* write 1 to clear */
#define TV_REG_IRQ_MASK	  0x02c /* the line is high while IRQ_STATUS & IRQ_MASK is not zero */
#define TV_REG_ERROR	  0x030 /* read only: enum tv_device_error, why it halted */
#define TV_REG_WATCHDOG	  0x034 /* cycles that a job may take; 0: no limit */
#define TV_REG_CYCLES_LO  0x038 /* read only: cycles since power-on; read HI, LO, HI */
#define TV_REG_CYCLES_HI  0x03c

/* Jobs are taken from the ring. Set, the rings are checked, and it stays 0 where they are wrong;
 * cleared, the running job ends as it would have and no other begins. */
#define TV_CONTROL_ENABLE 1u
/* Written 1: soft reset. Whatever runs is dropped without a record, and after at most
 * TV_RESET_CYCLES the registers have the values they have at power-on, CYCLES apart. */
#define TV_CONTROL_RESET  2u
#define TV_RESET_CYCLES	  1024

#define TV_STATUS_RUNNING    1u /* the job at HEAD */
#define TV_STATUS_PREFETCHED 2u /* the descriptor behind it has been read */
#define TV_STATUS_RESETTING  4u /* writes are lost */
#define TV_STATUS_HALTED     8u /* see ERROR; only a reset helps */

#define TV_IRQ_DONE  1u /* HEAD has moved since this was cleared: there is a record to read */
#define TV_IRQ_ERROR 2u /* halted */

enum tv_device_error {
	TV_DEVICE_OK = 0,
	TV_DEVICE_RING_SIZE = 1, /* RING_SIZE is no power of two, or not within the limits */
	TV_DEVICE_RING_ALIGNMENT = 2, /* a ring's base is no multiple of its entries' size */
	TV_DEVICE_RING_ADDRESS = 3, /* a ring reaches beyond the last address */
	TV_DEVICE_RING_OVERLAP = 4,
	/* TAIL went back, is more than RING_SIZE beyond HEAD, or not beyond the job that runs */
	TV_DEVICE_DOORBELL = 5,
	TV_DEVICE_DESCRIPTOR_BUS = 6, /* the descriptor at HEAD could not be read */
	TV_DEVICE_RECORD_BUS = 7, /* the record for HEAD could not be written */
};

/* --- rings ------------------------------------------------------------------------------------ */

/* Both rings have RING_SIZE entries. HEAD and TAIL count jobs and wrap at 2^32: job i is described
 * in entry i mod RING_SIZE of the submission ring, its record comes into entry i mod RING_SIZE of
 * the completion ring. All but TAIL may be written only while STATUS is 0 and ENABLE is 0;
 * otherwise what is written is lost. */
#define TV_REG_SUBMIT_LO   0x040 /* address of the submission ring */
#define TV_REG_SUBMIT_HI   0x044
#define TV_REG_COMPLETE_LO 0x048 /* address of the completion ring */
#define TV_REG_COMPLETE_HI 0x04c
#define TV_REG_RING_SIZE   0x050 /* entries */
#define TV_REG_HEAD	   0x054 /* the job that runs or runs next; all before it have records */
#define TV_REG_TAIL	   0x058 /* doorbell: the first job that is not described yet */
#define TV_REG_PROGRESS	   0x05c /* read only: commands that the running job has finished */

/* A segment of a job. The bytes of a writable segment belong to no other segment of the job; where
 * they do, the job is refused (TV_FAULT_BAD_JOB), for then order between segments would show. */
#define TV_SEGMENT_ALIGNMENT 64
struct tv_segment {
	uint64_t base; /* bus address, a multiple of TV_SEGMENT_ALIGNMENT */
	uint32_t size; /* bytes; 0: absent, all else is 0 too */
	uint32_t rights; /* TV_SEGMENT_READ, TV_SEGMENT_WRITE; at least one */
};

/* What the driver writes for a job. It may write the entry again when HEAD has passed it. 256
 * bytes, a multiple of that in memory, so that no burst crosses 4 KiB. */
#define TV_DESCRIPTOR_SIZE 256
struct tv_descriptor {
	uint64_t job; /* anything; comes back in the record */
	struct tv_segment segment[TV_SEGMENT_COUNT];
};

/* How a job ended. 128 bytes, a multiple of that in memory. Cycles are those of TV_REG_CYCLES. */
#define TV_COMPLETION_SIZE 128
struct tv_completion {
	uint64_t job; /* of the descriptor */
	uint32_t index; /* what HEAD was when it ran */
	uint8_t fault; /* enum tv_fault; after a fault the writable segments are undefined */
	/* Of which byte a TV_FAULT_SEGMENT or TV_FAULT_BUS tells: the first one outside, or the
	 * operand's first where a right is missing. Of a TV_FAULT_BAD_COMMAND: the parameter record
	 * that is out of range, if it is one. Else TV_SEGMENT_NONE and 0. */
	uint8_t segment;
	uint32_t offset;
	uint32_t command; /* at fault, or TV_RECORD_NO_COMMAND */
	uint32_t executed; /* commands finished */
	uint64_t start, end; /* cycles: first command begun, record ready to be written */
	/* Cycles within start .. end. */
	uint64_t mat_busy, rmac_busy, epilogue_busy, dma_busy;
	uint64_t stall_weights, stall_operands; /* all engines waited for them */
};

/* --- encodings, as in command.h --------------------------------------------------------------- */

#define TV_SEGMENT_FIELDS(X, at, s)                                                                \
	X(64, (at) + 0, s.base)                                                                    \
	X(32, (at) + 8, s.size)                                                                    \
	X(32, (at) + 12, s.rights)

#define TV_DESCRIPTOR_FIELDS(X)                                                                    \
	X(64, 0, job)                                                                              \
	TV_SEGMENT_FIELDS(X, 128, segment[0])                                                      \
	TV_SEGMENT_FIELDS(X, 144, segment[1])                                                      \
	TV_SEGMENT_FIELDS(X, 160, segment[2])                                                      \
	TV_SEGMENT_FIELDS(X, 176, segment[3])                                                      \
	TV_SEGMENT_FIELDS(X, 192, segment[4])                                                      \
	TV_SEGMENT_FIELDS(X, 208, segment[5])                                                      \
	TV_SEGMENT_FIELDS(X, 224, segment[6])                                                      \
	TV_SEGMENT_FIELDS(X, 240, segment[7])

#define TV_COMPLETION_FIELDS(X)                                                                    \
	X(64, 0, job)                                                                              \
	X(32, 8, index)                                                                            \
	X(8, 12, fault)                                                                            \
	X(8, 13, segment)                                                                          \
	X(32, 16, offset)                                                                          \
	X(32, 20, command)                                                                         \
	X(32, 24, executed)                                                                        \
	X(64, 32, start)                                                                           \
	X(64, 40, end)                                                                             \
	X(64, 48, mat_busy)                                                                        \
	X(64, 56, rmac_busy)                                                                       \
	X(64, 64, epilogue_busy)                                                                   \
	X(64, 72, dma_busy)                                                                        \
	X(64, 80, stall_weights)                                                                   \
	X(64, 88, stall_operands)

TV_DEFINE_CODEC(descriptor, TV_DESCRIPTOR_SIZE, TV_DESCRIPTOR_FIELDS)
TV_DEFINE_CODEC(completion, TV_COMPLETION_SIZE, TV_COMPLETION_FIELDS)

#endif
