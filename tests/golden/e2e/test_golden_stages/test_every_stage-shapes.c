/* The model shapes: kernels, and shapes_run. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "shapes.h"

/* Kernels stay functions of their own: inlined into one caller they would compete
 * for its registers. */
#if defined(__GNUC__)
#define SHAPES_KERNEL static __attribute__((noinline))
#else
#define SHAPES_KERNEL static
#endif

/* The layout of the weights is as planned. */
typedef char shapes_check_w[offsetof(struct shapes_weights, w) == 0 ? 1 : -1];
typedef char shapes_check_constant[offsetof(struct shapes_weights, constant) == 192 ? 1 : -1];
typedef char shapes_check_size[sizeof(struct shapes_weights) == 256 ? 1 : -1];

/* The larger one; NaN when either is NaN. */
static inline float shapes_max_f32(float x, float y)
{
    return x > y || isnan(x) ? x : y;
}

/* math.sigmoid: (f32[2, 3, 4]) -> f32[2, 3, 4]. First used for node "there" (Transpose), node
 * "sigmoid" (Sigmoid). */
SHAPES_KERNEL void shapes_elementwise_0(const float *restrict x, float *restrict y)
{
    for (ptrdiff_t i = 0; i < 24; i++) {
        y[i] = 1.0f / (1.0f + expf(-x[i]));
    }
}

/* nn.matmul {transpose_a = False, transpose_b = False}: (f32[2, 12], f32[12, 3], f32[3]) ->
 * f32[2, 3]. First used for node "matmul" (MatMul), node "bias" (Add). */
SHAPES_KERNEL void shapes_matmul_0(const float *restrict a, const float *restrict b,
    const float *restrict c, float *restrict y, float *restrict sum)
{
    for (ptrdiff_t i = 0; i < 6; i++) {
        sum[i] = 0.0f;
    }
    for (ptrdiff_t k = 0; k < 12; k++) {
        for (ptrdiff_t r = 0; r < 2; r++) {
            const float factor = a[r * 12 + k];
            for (ptrdiff_t t = 0; t < 3; t++) {
                sum[r * 3 + t] += factor * b[k * 3 + t];
            }
        }
    }
    for (ptrdiff_t r = 0; r < 2; r++) {
        for (ptrdiff_t t = 0; t < 3; t++) {
            y[r * 3 + t] = sum[r * 3 + t] + c[t];
        }
    }
}

/* nn.softmax {axis = 1}: (f32[2, 3]) -> f32[2, 3]. First used for node "softmax" (Softmax). */
SHAPES_KERNEL void shapes_softmax_0(const float *restrict x, float *restrict y,
    float *restrict line)
{
    for (ptrdiff_t i = 0; i < 2; i++) {
        const float *const from = x + i * 3;
        /* The largest element makes all powers at most 1. */
        float top = -INFINITY;
        for (ptrdiff_t j = 0; j < 3; j++) {
            top = shapes_max_f32(top, from[j]);
        }
        float total = 0.0f;
        for (ptrdiff_t j = 0; j < 3; j++) {
            const float power = expf(from[j] - top);
            line[j] = power;
            total += power;
        }
        for (ptrdiff_t j = 0; j < 3; j++) {
            y[i * 3 + j] = line[j] / total;
        }
    }
}

int shapes_run(const void *const *inputs, void *const *outputs, void *arena)
{
    unsigned char *const a = arena;
    const struct shapes_weights *const w = &shapes_weights;
    /* node "there" (Transpose), node "sigmoid" (Sigmoid) */
    shapes_elementwise_0((const float *)inputs[0], (float *)(a + 0));
    /* node "matmul" (MatMul), node "bias" (Add) */
    shapes_matmul_0((const float *)(a + 0), w->w, w->constant, (float *)(a + 128),
        (float *)(a + 192));
    /* node "softmax" (Softmax) */
    shapes_softmax_0((const float *)(a + 128), (float *)outputs[0], (float *)(a + 0));
    return SHAPES_OK;
}

int shapes_predict(const SHAPES_INPUT_0_TYPE *input, SHAPES_OUTPUT_0_TYPE *output, void *arena)
{
    const void *const inputs[1] = {input};
    void *const outputs[1] = {output};
    return shapes_run(inputs, outputs, arena);
}
