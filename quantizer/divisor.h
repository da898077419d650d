/* SPDX-License-Identifier: MIT */
/*
 * Codes for the divisor of an attention, as they are tried out within the float network: how much
 * they cost by themselves, and why they are powers of two. Divisors are small-valued and wide: most
 * lie far below the largest, and what matters is their ratio.
 */
#ifndef TV_QUANTIZER_DIVISOR_H
#define TV_QUANTIZER_DIVISOR_H

#include "quantizer/statistics.h"

/* Mean of log2(2^k / D) over divisors spread evenly in ratio: 1/2 - log2(1.5). The quotient is
 * larger by its inverse on average; docs/numerics.md, section 6. */
#define TV_LOG2_RULE_MEAN -0.084962500721156
/* A head's window of exponents ends at so many times the largest divisor seen. */
#define TV_LOG2_ROOM	  1.5

enum tv_divisor_kind {
	TV_DIVISOR_EXACT,
	TV_DIVISOR_UNIFORM, /* 2^bits equal steps from 0 to the largest seen */
	TV_DIVISOR_LOG2, /* 2^bits exponents, by the accelerator's rule */
};

struct tv_divisor_codes {
	enum tv_divisor_kind kind;
	unsigned int bits; /* 1 to 16 */
	unsigned int least; /* uniform: the smallest code; 0 divides by 0 */
};

/* What a code stands for of a divisor, 0 or more. most: the largest that its head has seen. */
double tv_divisor_value(const struct tv_divisor_codes *codes, double divisor, double most);

#endif
