/* SPDX-License-Identifier: MIT */
/* Reads an EfficientViT-B checkpoint (.safetensors) in MIT HAN lab's or timm's key names. */
#ifndef TV_QUANTIZER_CHECKPOINT_H
#define TV_QUANTIZER_CHECKPOINT_H

#include "quantizer/network.h"

/* What the caller decides where the checkpoint's metadata and its naming's defaults are not to
 * decide: 0 and NULL leave the choice to them. */
struct tv_checkpoint_options {
	unsigned int size; /* else metadata input_size, else 224 */
	double crop_ratio; /* in (0, 1]; else metadata crop_ratio, else by naming */
	const char *labels; /* file of class names; else metadata labels (newline-separated) */
};

/*
 * Infers the architecture from the tensors' shapes, checks every tensor it needs (present, F32, F16
 * or BF16, shaped as the architecture says, finite) and folds the norms. Key prefixes "module.",
 * "state_dict.", "model_state." and "model." in any order and number are dropped. A tensor that
 * would change what a layer computes but that EfficientViT-B's layers do not have, a bias of qkv
 * say, is refused; any other that is not needed, whatever its type, is listed in network->ignored.
 *
 * Defaults by naming: MIT resizes to ceil(size / 0.95) and has an attention epsilon of 1e-15; timm
 * has a crop ratio of 0.95 up to 224 and 1.0 above (resize to floor(size / ratio)), and an
 * attention epsilon of 1e-5. Batch and layer norm have 1e-5. Metadata mean and std
 * ("0.485,0.456,0.406") are read, else ImageNet's are taken.
 *
 * -EBADMSG for anything wrong in the file or in the number of labels, -EINVAL for options that
 * cannot be; the text names the file, the tensor and what was expected. options may be NULL.
 */
int tv_checkpoint_read(const char *path, const struct tv_checkpoint_options *options,
		       struct tv_network **ret, struct tv_error *error);

/* Writes a checkpoint of the architecture with random weights (He-scaled, norms with random
 * statistics, so that activations neither vanish nor explode) in F32, and the size in its metadata.
 * The bytes depend on the arguments alone, the values not on the naming. For tests of everything
 * whose outcome does not depend on trained weights. */
int tv_checkpoint_write_random(const struct tv_architecture *architecture, enum tv_naming naming,
			       unsigned int size, uint64_t seed, const char *path,
			       struct tv_error *error);

#endif
