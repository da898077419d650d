/* SPDX-License-Identifier: MIT */
/* The quantizer's own: a checkpoint's tensors, under the names that the network's code has. */
#ifndef TV_QUANTIZER_CHECKPOINT_FILE_H
#define TV_QUANTIZER_CHECKPOINT_FILE_H

#include "common/safetensors.h"
#include "quantizer/checkpoint-keys.h"

struct tv_checkpoint_entry {
	const char *key; /* the tensor's name without "module." and the like */
	const struct tv_tensor *tensor;
	bool used;
};

struct tv_checkpoint_file {
	struct tv_safetensors *safetensors;
	const char *name; /* for error texts */
	enum tv_naming naming;
	struct tv_checkpoint_entry *entries; /* sorted by key */
	size_t count;
};

/* Opens the file and finds out whose names it has. */
int tv_checkpoint_file_open(const char *path, struct tv_checkpoint_file *ret,
			    struct tv_error *error);
void tv_checkpoint_file_close(struct tv_checkpoint_file *file);

/* The tensor of a key, of a float type and of rank dimensions; it counts as used from then on. */
int tv_checkpoint_file_find(struct tv_checkpoint_file *file, const char *key, unsigned int rank,
			    const struct tv_tensor **ret, struct tv_error *error);

/* What widths, depths and heads the shapes tell of. */
int tv_checkpoint_infer(struct tv_checkpoint_file *file, struct tv_architecture *ret,
			struct tv_error *error);

/* Fills in every weight and bias of the network, norms folded. */
int tv_checkpoint_load_weights(struct tv_checkpoint_file *file, struct tv_network *network,
			       struct tv_error *error);

#endif
