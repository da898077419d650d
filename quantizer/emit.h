/* SPDX-License-Identifier: MIT */
/* From a quantized network and its lowered commands to the bytes of programs and weights. */
#ifndef TV_QUANTIZER_EMIT_H
#define TV_QUANTIZER_EMIT_H

#include "model/package.h"
#include "quantizer/quantize.h"

/* One program of a package. */
struct tv_emit_program {
	const struct tv_target *target;
	unsigned int images;
	bool keep_intermediates;
};

/* Lowers the network for each program, fills in what quantization has found, and proves that no
 * accumulator can overflow. *ret is a package whose buffers are its own; labels and preprocessing
 * are the network's. */
int tv_emit(const struct tv_quantized *quantized, const struct tv_emit_program *programs,
	    size_t count, struct tv_package **ret, struct tv_error *error);

#endif
