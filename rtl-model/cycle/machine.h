/* SPDX-License-Identifier: MIT */
/*
 * The modules of the cycle model and the wires between them.
 *
 *   fetch ──commands──▶ scoreboard, engines        weights ──▶ ring ──┐
 *                                                  input   ──▶ rows ──┤
 *   ┌── first sequencer ──▶ R-MAC ──┐              copy    ──▶ on chip│
 *   │   (depthwise, k^T v)          ├─▶ epilogue ──▶ tile buffers     ▼
 *   │                        MAT ───┤    lanes   ──▶ on-chip memory   engines wait for these
 *   └── second sequencer ──▶ R-MAC  │            └─▶ store ──▶ memory
 *       (dense, quotients) ▶ vector ┘
 *   memory: the DRAM channel, which serves fetch, store, input, shortcut, weights, copy
 *
 * Each module has an evaluate() that reads what the others show (their q, and the flights), changes
 * its private state and prepares its own d; then the clock's edge makes d to q everywhere. So the
 * order in which modules are evaluated does not matter. Between modules run counters that only grow
 * (pushed, popped, asked, delivered); a valid/ready pair is the comparison of two of them, each
 * side registered, as a FIFO with registered full and empty has it.
 *
 * A cycle in which no counter moved is followed by cycles in which nothing happens until the first
 * of the modules' own timers (wake) ends: these are skipped.
 */
#ifndef TV_RTL_MODEL_CYCLE_MACHINE_H
#define TV_RTL_MODEL_CYCLE_MACHINE_H

#include "rtl-model/command.h"
#include "rtl-model/cycle.h"

enum {
	WINDOW = 64, /* commands between fetch and the end of the oldest */
	RESULTS = 8, /* of an engine, in its adder tree and the banks behind it */
	PIPELINE = 32, /* results behind the lanes, at most one a cycle */
	TILES = 4, /* buffers between the stages of a chain */
	COPIES = 8, /* waiting */
	MARKS = 512, /* results on their way to DRAM */

	CYCLES_ADDER = 8, /* from the last product to the accumulators' bank */
	CYCLES_LANE = 24, /* from a lane's input to memory */
	CYCLES_CLEAR = 64, /* of the on-chip memory's valid bits */
	CYCLES_ROOT = 96, /* square root and reciprocal of a layer norm */
	CYCLES_FLUSH = 16, /* after which a burst is written that is not full */

	COLUMNS = 8, /* of a map that a group takes at once in depthwise mode */
	BYTES_COPY = 128, /* a cycle from on chip to on chip */
	BYTES_ROWS = 64 * 1024, /* buffer for operands from DRAM */
	BYTES_STORE = 16 * 1024, /* buffer of the store DMA */
	BYTES_DESCRIPTOR = 256,
	BYTES_RECORD = 128,
};

#define NEVER UINT64_MAX

/* --- the program, as the sequencers walk it (plan.c) ---------------------------------------- */

/* What an older command of the same job has to do with one. */
enum relation {
	WRITES_INPUT,
	WRITES_SHORTCUT,
	WRITES_WEIGHTS,
	IN_ORDER, /* the other has to have ended */
	RELATIONS
};

struct work {
	const struct tv_command *command;
	unsigned int job;
	uint64_t fetched; /* bytes of programs up to its end */
	struct tv_dense dense; /* the second stage's */
	bool has_dense, has_depthwise, pool;
	bool passes_outermost; /* over the whole map, pass after pass */
	uint32_t height, width; /* of the map that the first stage puts out */
	uint32_t tiles; /* of all images; heads of an attention */
	uint32_t tile_rows; /* 1 row less than that many at the end of a map */
	uint32_t tiles_an_image;
	uint32_t pixels_a_task; /* of the second stage */
	uint32_t column_blocks, channel_blocks; /* depthwise */
	uint64_t tasks; /* whose results go to memory */
	uint64_t weights[2]; /* bytes that the first stage needs, and all of them */
	uint64_t extent[RELATIONS]; /* bytes of the input, shortcut, weights operand */
	/* Through DRAM: how often an operand is read, 0: it is on chip or absent; and the bytes of
	 * all before it. */
	uint32_t sweeps[RELATIONS];
	uint64_t before[RELATIONS];
	bool stored; /* the output is in DRAM */
	size_t first_related[RELATIONS + 1]; /* into plan.related */
};

struct planned_job {
	uint64_t first, end; /* its commands, counted over all jobs */
	uint64_t head; /* bytes of programs up to the end of its header */
	uint64_t ring; /* bytes on chip for streamed weights */
};

struct plan {
	const struct tv_target *target;
	struct work *works; /* of all jobs; one more behind the last, of no job */
	uint64_t count;
	struct planned_job *jobs;
	unsigned int job_count;
	uint64_t *related; /* commands */
};

int plan_make(struct plan *plan, const struct tv_target *target,
	      const struct tv_cycle_program *const *programs, unsigned int jobs,
	      struct tv_error *error);
void plan_done(struct plan *plan);

/* Outputs a pixel of pass and half (MAT's eight channels of each block, R-MAC's eight). */
uint32_t work_outputs(const struct work *work, uint32_t pass, unsigned int half);
/* Bytes of weights up to the end of that pass. */
uint64_t work_weights(const struct work *work, uint32_t pass);

/* --- memory (memory.c, streams.c) ----------------------------------------------------------- */

enum client { /* in the order of their priority */
	CLIENT_FETCH,
	CLIENT_STORE,
	CLIENT_INPUT,
	CLIENT_SHORTCUT,
	CLIENT_WEIGHTS,
	CLIENT_COPY,
	CLIENTS
};

struct burst {
	enum client client;
	uint32_t bytes;
	uint64_t ready; /* its data may move from then on */
};

/* The DRAM channel behind the load and store DMA: bursts in the order in which they were issued,
 * one on the data wires at a time. */
struct memory {
	struct {
		uint64_t delivered[CLIENTS]; /* bytes, of the store: acknowledged */
	} q, d;
	uint64_t issued[CLIENTS];
	struct burst queue[64];
	unsigned int first, count;
	uint64_t end; /* of the first one's transfer; NEVER: none */
	uint64_t credit, rate, cost; /* rate a cycle, cost a byte */
	uint64_t wake;
};

struct fetch {
	struct {
		uint64_t asked;
		uint64_t commands; /* decoded, counted over all jobs */
	} q, d;
};

/* The weights' loader and the two of operands. */
struct stream {
	struct {
		uint64_t asked;
	} q, d;
	uint64_t command; /* whose operand is asked for */
};

struct store {
	struct {
		uint64_t asked;
	} q, d;
	uint64_t pushed; /* as it was last seen */
	uint64_t flush, wake;
};

struct copy {
	struct {
		uint64_t asked, popped, stored;
	} q, d;
	bool active;
	uint64_t before; /* bytes that all copies before this one asked for */
	uint32_t moved;
	uint64_t until, wake;
	bool written; /* at this edge: bytes from written_from to moved */
	uint32_t written_from;
	uint64_t command;
};

/* --- engines (engines.c, sequence.c) -------------------------------------------------------- */

enum slot {
	SLOT_MAT,
	SLOT_RMAC,
	SLOT_VECTOR,
	SLOTS
};

/* Results go to memory in the order in which their tasks were handed out. */
struct turn {
	uint64_t command, number; /* command NEVER: none */
};

enum task_kind {
	TASK_DEPTHWISE,
	TASK_PRODUCT, /* k^T v and sum(k) of a head */
	TASK_DENSE,
	TASK_QUOTIENT,
	TASK_POOL,
	TASK_NORM,
};

/* What an engine does without looking up. */
struct task {
	enum task_kind kind;
	bool first; /* of a chain: its results go to a tile buffer */
	uint64_t command; /* counted over all jobs */
	uint64_t number; /* among the command's, from 0 */
	uint64_t order; /* among all of the second sequencer */
	uint64_t tile; /* counted over all commands */
	uint32_t in_tile; /* the tile's number in its command */
	uint64_t cycles;
	uint32_t outputs; /* to the lanes */
	uint32_t pooled; /* and, of a map's sums, through them once more */
	uint32_t final; /* pixels of the output that are complete with it and all before it */
	uint32_t bytes; /* to memory */
	/* Where it is in its loop nest. */
	uint32_t pass, half;
	uint32_t at, count; /* pixels, tokens, rows or depthwise blocks, in the tile */
	uint32_t pixel; /* of the output, the first and those up to the last */
	uint32_t pixel_end;
	uint64_t input_from, input_to; /* bytes of the input operand; to: have to be there */
	uint64_t begin, ready;
	int32_t *sums; /* with data */
};

struct first_sequencer {
	uint64_t command;
	uint32_t tile, at;
	uint64_t number;
	uint64_t tiles, tasks; /* handed out */
	uint64_t end[TILES]; /* tasks up to the end of a tile */
};

struct second_sequencer {
	uint64_t command;
	uint32_t tile, at, pass, half;
	uint64_t number;
	uint64_t tiles, tasks; /* handed out */
	uint64_t end[TILES];
};

struct engine {
	bool busy, blocked; /* blocked: done, with no bank to leave the result in */
	struct task task;
	struct task results[RESULTS];
	enum tv_cycle_stall why;
};

struct engines {
	struct {
		uint64_t pushed[SLOTS];
		struct turn turn[SLOTS]; /* of the result for memory that an engine works on */
		uint64_t weights_freed, weights_needed; /* bytes of the stream */
		uint64_t input_freed, input_needed;
		uint64_t copies;
		uint64_t command; /* the second sequencer's */
	} q, d;
	struct engine slot[SLOTS];
	struct first_sequencer first;
	struct second_sequencer second;
	uint64_t tiles_freed;
	uint64_t copies[COPIES]; /* commands */
	uint64_t wake;
};

/* --- epilogue (epilogue.c) ------------------------------------------------------------------ */

struct epilogue {
	struct {
		uint64_t popped[SLOTS];
		uint64_t first_done; /* tasks of first stages that are in their tile buffer */
		uint64_t shortcut_freed, shortcut_needed;
		uint64_t stored; /* bytes for the store DMA */
	} q, d;
	bool busy;
	struct task task;
	uint64_t until;
	struct task pipeline[PIPELINE];
	uint64_t entered, left;
	uint64_t wake;
	bool written; /* at this edge: */
	struct task write;
};

/* --- scoreboard (scoreboard.c) -------------------------------------------------------------- */

/* A command between fetch and its end. */
struct flight {
	uint32_t final; /* pixels (a copy's bytes) of the output that others may read */
	bool complete;
};

/* Results up to a byte of the store's stream. */
struct mark {
	uint64_t position, command;
	uint32_t final;
	bool last;
};

struct scoreboard {
	struct flight flights[WINDOW];
	struct mark marks[MARKS];
	uint64_t marked, unmarked;
	uint64_t retired;
};

/* --- the job -------------------------------------------------------------------------------- */

struct control {
	struct {
		unsigned int job;
		uint64_t open; /* engines may work on it from then on */
		bool record; /* is being written */
		uint64_t stored; /* bytes of records */
	} q, d;
	uint64_t wake;
};

struct machine {
	/* The host's: a reset leaves them where they are. */
	const struct tv_cycle_options *options;
	const struct plan *plan;
	struct tv_cycle_job *jobs;
	struct tv_cycle_command *commands; /* of the last job */
	struct data *data; /* NULL: time alone */

	uint64_t now;
	bool moved; /* something has changed that another module looks at */
	struct memory memory;
	struct fetch fetch;
	struct stream weights, input, shortcut;
	struct store store;
	struct copy copy;
	struct engines engines;
	struct epilogue epilogue;
	struct scoreboard scoreboard;
	struct control control;
};

/* All registers as they are when the first job's doorbell rings, whatever the machine was doing. */
void machine_reset(struct machine *m);
/* To the next cycle that is evaluated. -EDEADLK: nothing moves any more. */
int machine_step(struct machine *m);
/* All jobs have their records. */
bool machine_done(const struct machine *m);

void memory_reset(struct machine *m);
void memory_evaluate(struct machine *m);
void fetch_evaluate(struct machine *m);
void weights_evaluate(struct machine *m);
void operand_evaluate(struct machine *m, struct stream *stream, enum client client);
void store_evaluate(struct machine *m);
void copy_evaluate(struct machine *m);
void engines_evaluate(struct machine *m);
void epilogue_evaluate(struct machine *m);
void control_evaluate(struct machine *m);
/* At the edge: what was written becomes known. */
void scoreboard_edge(struct machine *m);

/* Tells the observer of a piece of work. command NEVER: of none. */
void report(const struct machine *m, enum tv_cycle_engine engine, uint64_t command, uint64_t begin,
	    uint64_t end);

/* The next task of a sequencer, without handing it out; false: there is none, and *ret_why says
 * what is missing. NEVER is not an answer here: whatever is missing comes by another module's
 * doing. */
bool first_next(struct machine *m, struct task *ret, enum tv_cycle_stall *ret_why);
void first_take(struct machine *m, const struct task *task);
bool second_next(struct machine *m, struct task *ret, enum tv_cycle_stall *ret_why);
void second_take(struct machine *m, const struct task *task);

/* Bytes from the start of an operand that no older command is yet to write. */
uint64_t scoreboard_available(const struct machine *m, uint64_t command, enum relation operand);
/* Whether those that have to have ended before a command have. */
bool scoreboard_in_order(const struct machine *m, uint64_t command);
/* Room in the store DMA, and for what tells of the bytes' arrival. */
bool store_has_room(const struct machine *m);

static inline const struct work *work_of(const struct machine *m, uint64_t command)
{
	return &m->plan->works[command];
}

static inline const struct planned_job *last_job(const struct machine *m)
{
	return &m->plan->jobs[m->plan->job_count - 1 - m->options->followers];
}

/* What is told of a command: those of the last job. */
static inline struct tv_cycle_command *told_of(const struct machine *m, uint64_t command)
{
	const struct planned_job *last = last_job(m);

	return m->commands && command >= last->first && command < last->end ?
		       &m->commands[command - last->first] :
		       NULL;
}

static inline struct flight *flight_of(struct machine *m, uint64_t command)
{
	return &m->scoreboard.flights[command % WINDOW];
}

/* Bytes of a stream before a command's operand. */
static inline uint64_t stream_base(const struct machine *m, uint64_t command, enum relation operand)
{
	return work_of(m, command)->before[operand];
}

/* Bytes that were handed to the store DMA. */
static inline uint64_t stored_bytes(const struct machine *m)
{
	return m->epilogue.q.stored + m->copy.q.stored + m->control.q.stored;
}

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/* --- data (data.c, data-tasks.c) ------------------------------------------------------------ */

struct data;

int data_new(const struct tv_job *job, const struct tv_program *program, struct data **ret,
	     struct tv_error *error);
void data_free(struct data *data);
TV_DEFINE_CLEANUP(struct data *, data_free)
/* With the plan made: room for what tasks work on. */
int data_prepare(struct machine *m, struct tv_error *error);
/* How the job ended. -ENOMEM where memory ran out on the way. */
int data_outcome(const struct data *data, struct tv_record *ret, struct tv_error *error);

/* The rest does nothing without data. On-chip memory that reads as zero, and nothing under way. */
void data_reset(struct machine *m);
/* A command's parameters, when the first engine begins with it;
 * what a task multiplies, when it begins; what it puts out, at the edge that writes it. */
void data_begin(struct machine *m, uint64_t command);
void data_compute(struct machine *m, struct task *task);
void data_write(struct machine *m, const struct task *task);
void data_copy(struct machine *m, uint64_t command, uint32_t from, uint32_t to);
void data_end(struct machine *m, uint64_t command);

#endif
