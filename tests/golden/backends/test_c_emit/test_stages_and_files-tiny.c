/* The model tiny: kernels, and tiny_run. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "tiny.h"

/* Kernels stay functions of their own: inlined into one caller they would compete
 * for its registers. */
#if defined(__GNUC__)
#define TINY_KERNEL static __attribute__((noinline))
#else
#define TINY_KERNEL static
#endif

/* The layout of the weights is as planned. */
typedef char tiny_check_w[offsetof(struct tiny_weights, w) == 0 ? 1 : -1];
typedef char tiny_check_size[sizeof(struct tiny_weights) == 64 ? 1 : -1];

/* max(x, limit) for a limit that is a number; NaN stays NaN. */
static inline float tiny_at_least_f32(float x, float limit)
{
    return x < limit ? limit : x;
}

/* math.mul: (f32[2, 3], f32[2, 3]) -> f32[2, 3]. First used for node "layer" (Mul). */
TINY_KERNEL void tiny_elementwise_0(const float *restrict x0, const float *restrict x1,
    float *restrict y)
{
    for (ptrdiff_t i = 0; i < 6; i++) {
        y[i] = x0[i] * x1[i];
    }
}

/* math.add + math.max: (f32[2, 3], f32[2, 3]) -> f32[2, 3]. First used for node "layer" (Mul). */
TINY_KERNEL void tiny_elementwise_1(const float *x0, const float *restrict x1, float *y)
{
    for (ptrdiff_t i = 0; i < 6; i++) {
        const float v = x0[i] + x1[i];
        y[i] = tiny_at_least_f32(v, 0.25f);
    }
}

/* math.exp: (f32[6]) -> f32[6]. */
TINY_KERNEL void tiny_elementwise_2(const float *restrict x, float *restrict y)
{
    for (ptrdiff_t i = 0; i < 6; i++) {
        y[i] = expf(x[i]);
    }
}

/* math.neg: (f32[6]) -> f32[6]. */
TINY_KERNEL void tiny_elementwise_3(const float *restrict x, float *restrict y)
{
    for (ptrdiff_t i = 0; i < 6; i++) {
        y[i] = -x[i];
    }
}

int tiny_run(const void *const *inputs, void *const *outputs, void *arena)
{
    unsigned char *const a = arena;
    const struct tiny_weights *const w = &tiny_weights;
    /* node "layer" (Mul) */
    tiny_elementwise_0((const float *)inputs[0], w->w, (float *)(a + 0));
    /* node "layer" (Mul) */
    tiny_elementwise_1((const float *)(a + 0), (const float *)inputs[0], (float *)(a + 0));
    /* node "layer" (Mul) */
    if (*(const uint8_t *)inputs[1] != 0) {
        tiny_elementwise_2((const float *)(a + 0), (float *)outputs[0]);
    } else {
        tiny_elementwise_3((const float *)(a + 0), (float *)outputs[0]);
    }
    return TINY_OK;
}
