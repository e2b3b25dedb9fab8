/* The model swaps: kernels, and swaps_run. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "swaps.h"

/* Kernels stay functions of their own: inlined into one caller they would compete
 * for its registers. */
#if defined(__GNUC__)
#define SWAPS_KERNEL static __attribute__((noinline))
#else
#define SWAPS_KERNEL static
#endif

/* Value of a positive finite code. */
static inline float swaps_scale_f32(uint32_t code, int mantissa, int bias)
{
    const uint32_t fraction = code & ((1u << mantissa) - 1);
    const int exponent = (int)(code >> mantissa);
    return exponent == 0 ? ldexpf((float)fraction, 1 - bias - mantissa)
        : ldexpf((float)(fraction + (1u << mantissa)), exponent - bias - mantissa);
}

static inline float swaps_f16_to_f32(uint16_t x)
{
    if ((x & 0x7fff) > 0x7c00) {
        return NAN;
    }
    if ((x & 0x7fff) == 0x7c00) {
        return x & 0x8000 ? -INFINITY : INFINITY;
    }
    const float value = swaps_scale_f32(x & 0x7fffu, 10, 15);
    return x & 0x8000 ? -value : value;
}

/* Code of |x| with that many mantissa bits, rounded to nearest, ties to even. */
static inline uint32_t swaps_round_f32(float x, int mantissa, int bias)
{
    uint32_t code;
    int field, above, shift;
    memcpy(&code, &x, sizeof code);
    field = (int)((code >> 23) & 255);
    above = (field > 0 ? field : 1) - 128 + bias;
    shift = 23 - mantissa + (above < 0 ? -above : 0);
    if (shift > 24) {
        return 0;
    }
    code &= ((uint32_t)1 << 23) - 1;
    if (field > 0) {
        code |= (uint32_t)1 << 23;
    }
    code += ((uint32_t)1 << (shift - 1)) - 1 + ((code >> shift) & 1);
    return (uint32_t)(code >> shift) + (above > 0 ? (uint32_t)above << mantissa : 0);
}

static inline uint16_t swaps_f32_to_f16(float x)
{
    if (isnan(x)) {
        return 0x7e00;
    }
    uint32_t code = isinf(x) ? 0x7c00 : swaps_round_f32(x, 10, 15);
    if (code > 0x7bff) {
        code = 0x7c00;
    }
    return (uint16_t)(code | (signbit(x) ? 0x8000u : 0));
}

/* math.add: (f16[3], f16[3]) -> f16[3]. */
SWAPS_KERNEL void swaps_elementwise_0(const uint16_t *restrict x, uint16_t *restrict y)
{
    for (ptrdiff_t i = 0; i < 3; i++) {
        y[i] = swaps_f32_to_f16(swaps_f16_to_f32(x[i]) + swaps_f16_to_f32(x[i]));
    }
}

/* math.silu {alpha = 1.0}: (f16[3]) -> f16[3]. */
SWAPS_KERNEL void swaps_elementwise_1(const uint16_t *x, uint16_t *y)
{
    for (ptrdiff_t i = 0; i < 3; i++) {
        const float x2 = swaps_f16_to_f32(x[i]);
        y[i] = swaps_f32_to_f16(x2 / (1.0f + expf(-(1.0f * x2))));
    }
}

int swaps_run(const void *const *inputs, void *const *outputs, void *arena)
{
    unsigned char *const a = arena;
    /* loop */
    memcpy(outputs[0], inputs[1], 6);
    memcpy(outputs[1], inputs[2], 6);
    *(uint8_t *)(a + 64) = 1;
    *(int64_t *)(a + 0) = 0;
    while (*(int64_t *)(a + 0) < *(const int64_t *)inputs[0] && *(uint8_t *)(a + 64) != 0) {
        swaps_elementwise_0((const uint16_t *)outputs[0], (uint16_t *)(a + 128));
        swaps_elementwise_1((const uint16_t *)(a + 128), (uint16_t *)(a + 128));
        memcpy(a + 192, outputs[1], 6);
        memcpy(outputs[0], a + 192, 6);
        memcpy(outputs[1], a + 128, 6);
        *(int64_t *)(a + 0) += 1;
    }
    memcpy(outputs[2], inputs[1], 6);
    return SWAPS_OK;
}
