/* SPDX-License-Identifier: MIT */
/*
 * The board of the device's fuzzer: memory, clock, line, and a model of what the registers must
 * say. Everything that the device does on it is checked: which descriptor it reads when, that it
 * maps the segments of that and no others, what it leaves in memory that it may not write, what its
 * records say. A segment is mapped as memory of exactly its size, gone when it is unmapped, so that
 * a tool that watches the heap sees every access beside it.
 */
#ifndef TV_TESTS_FUZZ_DEVICE_BOARD_H
#define TV_TESTS_FUZZ_DEVICE_BOARD_H

#include "tests/fuzz/device.h"

#include <pthread.h>

#include <triovit/regs.h>

#include "rtl-model/device-private.h"

struct board_region {
	uint64_t address;
	uint32_t size; /* bytes of data */
	uint32_t there; /* of these, bytes that memory answers for */
	uint8_t *data;
};

struct board_mapping {
	uint64_t address;
	uint32_t size, rights;
	uint8_t *data; /* NULL: not mapped */
	uint8_t *expected; /* the same bytes, where the job may not write */
};

/* A job that was taken. */
struct board_job {
	struct tv_descriptor descriptor;
	bool reserved; /* bytes of it were not zero */
	unsigned int segment; /* that is to be mapped next */
	uint64_t start;
	uint32_t watchdog;
	bool started; /* to compute */
	bool starved; /* more work than the board has patience for */
	uint32_t commands; /* of its program */
	uint32_t there[TV_SEGMENT_COUNT]; /* bytes that could be mapped */
	uint32_t progress;
};

/* What the registers must say, and what leads to it. */
struct board_state {
	bool enabled, running, fetched, resetting;
	uint32_t irq_status, irq_mask, watchdog, error, ring_size, head, tail;
	uint64_t submit, complete;
	uint64_t reset_at;
};

struct board {
	struct tv_device_host host;
	const struct tv_target *target;
	unsigned int address_bits;
	struct board_region regions[DEVICE_REGIONS];
	struct board_mapping mappings[TV_SEGMENT_COUNT];
	uint64_t clock;
	uint64_t patience; /* steps that may still be computed */
	bool line;
	bool called; /* the device is being called */
	struct board_state state;
	struct board_job job; /* while running */
	bool fetched_there; /* the next descriptor could be read */
	uint8_t fetched[TV_DESCRIPTOR_SIZE];
	bool threads, late;
	struct tv_device_work *work; /* started and not joined */
	bool computed;
	pthread_t thread;
	struct tv_device *device;
};

void board_begin(struct board *b, const struct tv_target *target, unsigned int address_bits,
		 bool cycle);
void board_end(struct board *b);

/* Memory of zeros. */
void board_region_set(struct board *b, unsigned int region, uint64_t address, uint32_t size);
/* NULL where memory does not answer for all of it. */
uint8_t *board_memory(struct board *b, uint64_t address, uint32_t size);
/* Changes bytes, in mapped segments too; those without memory are left out. */
void board_poke(struct board *b, uint64_t address, const uint8_t *bytes, uint32_t size);
void board_scribble(struct board *b, unsigned int region, uint32_t count, uint64_t random);

/* All of these look at everything afterwards. */
uint32_t board_read(struct board *b, uint64_t offset);
void board_write(struct board *b, uint64_t offset, uint32_t value);
void board_advance(struct board *b);
/* Until the device waits for nothing. */
void board_finish(struct board *b);
/* Computes what was put off. */
void board_compute(struct board *b);

/* --- what must be true, for the board only --------------------------------------------------- */

/* No job of so little memory takes longer. */
#define BOARD_CYCLES_MAX (1ull << 40)
#define BOARD_RECORD_MAX 256 /* from the last command's end to the record */

/* The job of that descriptor begins. */
void board_job_begin(struct board *b, const uint8_t *bytes, uint64_t start);
/* It has its record, and the next begins if that was fetched. */
void board_job_end(struct board *b, uint64_t ended);
/* Whether a device may touch that segment for that job at all. */
bool board_may_map(const struct board *b, unsigned int index);
void board_check_record(const struct board *b, const struct tv_completion *record);
/* The device halts, unless it did before. */
void board_halt(struct board *b, enum tv_device_error error);
/* A register is written, when all that was due has been done, or read (all but PROGRESS). */
void board_expect_write(struct board *b, uint64_t offset, uint32_t value);
uint32_t board_expect_read(const struct board *b, uint64_t offset);

#endif
