/* SPDX-License-Identifier: MIT */
/* The quantizer's own: how the tensors of a node are named and shaped in a checkpoint. Reader,
 * inference of the architecture and writer all ask here. */
#ifndef TV_QUANTIZER_CHECKPOINT_KEYS_H
#define TV_QUANTIZER_CHECKPOINT_KEYS_H

#include "quantizer/network.h"

#define TV_CHECKPOINT_KEY_SIZE 128
#define TV_CHECKPOINT_PARTS_MAX 6

/* Batch and layer norm; PyTorch's default, which neither naming's code changes for these models. */
#define TV_CHECKPOINT_NORM_EPSILON 1e-5

enum tv_checkpoint_part_kind {
	TV_PART_WEIGHT, /* of a convolution, linear layer or layer norm */
	TV_PART_BIAS,
	TV_PART_NORM_WEIGHT, /* of the batch norm after a convolution */
	TV_PART_NORM_BIAS,
	TV_PART_NORM_MEAN,
	TV_PART_NORM_VARIANCE,
};

/* One tensor that a node is made of. */
struct tv_checkpoint_part {
	enum tv_checkpoint_part_kind kind;
	char key[TV_CHECKPOINT_KEY_SIZE];
	unsigned int rank;
	uint64_t shape[4];
};

/* "MIT HAN lab" or "timm". */
const char *tv_naming_name(enum tv_naming naming);

/* What the keys of a stage's blocks begin with; the block's number follows. *ret_first is the
 * tv_node.block that this number counts from. Stage TV_NETWORK_HEAD has none. */
const char *tv_checkpoint_stage_prefix(enum tv_naming naming, unsigned int stage,
				       unsigned int *ret_first);

/* What the keys of a layer begin with: the module that holds its convolution and its norm. Ends in
 * a dot. ret: TV_CHECKPOINT_KEY_SIZE bytes. */
void tv_checkpoint_layer_prefix(enum tv_naming naming, enum tv_role role, unsigned int stage,
				unsigned int block, char *ret);

/* Key of one part of a layer, likewise. */
void tv_checkpoint_key(enum tv_naming naming, enum tv_role role, unsigned int stage,
		       unsigned int block, enum tv_checkpoint_part_kind kind, char *ret);

/* The tensors of a node, the weight first; returns their number, 0 for a node that has none. */
unsigned int tv_checkpoint_parts(enum tv_naming naming, const struct tv_node *node,
				 struct tv_checkpoint_part ret[TV_CHECKPOINT_PARTS_MAX]);

#endif
