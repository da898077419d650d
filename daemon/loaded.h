/* SPDX-License-Identifier: MIT */
/*
 * A model that the daemon has: the bytes, who uses it, what its programs cost, and an object on the
 * bus (interface Model). The same bytes are one model, whoever loads them.
 */
#ifndef TV_DAEMON_LOADED_H
#define TV_DAEMON_LOADED_H

#include "daemon/accelerator.h"
#include "daemon/model.h"

struct tv_loaded_program {
	int target; /* index of tv_target_at(); -1: of another kind */
	struct tv_model_cycles cycles;
	uint64_t measured; /* ns on software devices, of late; 0: never */
};

struct tv_loaded_user {
	uid_t uid;
	TAILQ_ENTRY(tv_loaded_user) users;
};

struct tv_loaded {
	struct tv_manager *manager;
	char path[64];
	char *name;
	struct tv_model *model;
	struct tv_loaded_program *programs; /* as many as the package has */
	TAILQ_HEAD(, tv_loaded_user) users; /* that have loaded it */
	bool public;
	unsigned int sessions; /* open, or about to be */
	uint64_t runs; /* that were done */
	struct tv_buffer *code[TV_KIND_COUNT]; /* programs and weights where devices find them */
	TAILQ_ENTRY(tv_loaded) models;
};

/* Takes model and programs; nobody uses it yet. */
int tv_loaded_new(struct tv_manager *manager, struct tv_model *model,
		  struct tv_loaded_program *programs, const char *name, struct tv_loaded **ret,
		  struct tv_error *error);

struct tv_loaded *tv_loaded_by_digest(const struct tv_manager *manager, const char *digest);
struct tv_loaded *tv_loaded_at(const struct tv_manager *manager, const char *path);
/* Whether the user may know of it. */
bool tv_loaded_visible(const struct tv_loaded *loaded, uid_t uid);

/* The user has loaded it. 0 also if it had done so before; -EDQUOT. */
int tv_loaded_use(struct tv_loaded *loaded, uid_t uid, struct tv_error *error);
/* The user does not need it any more; nothing if it did not. */
void tv_loaded_unuse(struct tv_loaded *loaded, uid_t uid);
/* Gone, unless there are users or sessions. */
void tv_loaded_check(struct tv_loaded *loaded);

void tv_loaded_publish(struct tv_loaded *loaded, bool public);

/* Index of the model's program for a target and so many images; -1: there is none. */
int tv_loaded_find_program(const struct tv_loaded *loaded, unsigned int target,
			   unsigned int images);
/* What a run of it should take on a device of the pool, ns. */
uint64_t tv_loaded_cost(const struct tv_loaded *loaded, unsigned int program, unsigned int pool);
/* What one has taken. */
void tv_loaded_measured(struct tv_loaded *loaded, unsigned int program, unsigned int pool,
			uint64_t ns);

/* Everything that is left, at the daemon's end. */
void tv_loaded_free_all(struct tv_manager *manager);

/* Interface Model. */
int tv_loaded_add_vtable(struct tv_manager *manager, sd_bus *bus);

#endif
