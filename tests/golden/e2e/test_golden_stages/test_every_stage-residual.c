/* The model residual: kernels, and residual_run. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "residual.h"

/* Kernels stay functions of their own: inlined into one caller they would compete
 * for its registers. */
#if defined(__GNUC__)
#define RESIDUAL_KERNEL static __attribute__((noinline))
#else
#define RESIDUAL_KERNEL static
#endif

/* The layout of the weights is as planned. */
typedef char residual_check_w[offsetof(struct residual_weights, w) == 0 ? 1 : -1];
typedef char residual_check_constant[offsetof(struct residual_weights, constant) == 192 ? 1 : -1];
typedef char residual_check_size[sizeof(struct residual_weights) == 256 ? 1 : -1];

/* max(x, limit) for a limit that is a number; NaN stays NaN. */
static inline float residual_at_least_f32(float x, float limit)
{
    return x < limit ? limit : x;
}

/* nn.conv + math.add + math.relu {strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1],
 * groups = 1}: (f32[1, 2, 4, 4], f32[2, 2, 3, 3], f32[2]) -> f32[1, 2, 4, 4]. First used for
 * node "pad" (Pad), node "conv" (Conv), node "norm" (BatchNormalization), node "skip" (Add),
 * node "relu" (Relu). */
RESIDUAL_KERNEL void residual_conv_0(const float *restrict x0, const float *restrict x1,
    const float *restrict x2, float *restrict y, float *restrict columns, float *restrict sum)
{
    /* Unfold: columns[c, taps][t] is what a tap meets in channel c, window p + t. */
    ptrdiff_t t = 0;
    while (t < 16) {
        const ptrdiff_t run = 4 - t % 4 < 16 - t ? 4 - t % 4 : 16 - t;
        const ptrdiff_t oy = t / 4;
        const ptrdiff_t ox = t % 4;
        for (ptrdiff_t ky = 0; ky < 3; ky++) {
            for (ptrdiff_t kx = 0; kx < 3; kx++) {
                const ptrdiff_t iy = oy + ky - 1;
                const ptrdiff_t ix = ox + kx - 1;
                const ptrdiff_t left = ix < 0 ? -ix : 0;
                const ptrdiff_t first = 0 <= iy && iy < 4 ? (left < run ? left : run) : run;
                const ptrdiff_t room = 4 - ix;
                const ptrdiff_t end = room < run ? room : run;
                const ptrdiff_t last = end < first ? first : end;
                for (ptrdiff_t c = 0; c < 2; c++) {
                    for (ptrdiff_t j = 0; j < first; j++) {
                        columns[(c * 9 + ky * 3 + kx) * 16 + t + j] = 0.0f;
                    }
                    for (ptrdiff_t j = first; j < last; j++) {
                        columns[(c * 9 + ky * 3 + kx) * 16 + t + j] = x0[c * 16 + iy * 4 + ix + j];
                    }
                    for (ptrdiff_t j = last; j < run; j++) {
                        columns[(c * 9 + ky * 3 + kx) * 16 + t + j] = 0.0f;
                    }
                }
            }
        }
        t += run;
    }
    for (ptrdiff_t i = 0; i < 32; i++) {
        sum[i] = 0.0f;
    }
    for (ptrdiff_t k = 0; k < 18; k++) {
        for (ptrdiff_t r = 0; r < 2; r++) {
            const float factor = x1[r * 18 + k];
            for (ptrdiff_t t2 = 0; t2 < 16; t2++) {
                sum[r * 16 + t2] += factor * columns[k * 16 + t2];
            }
        }
    }
    for (ptrdiff_t r = 0; r < 2; r++) {
        for (ptrdiff_t t2 = 0; t2 < 16; t2++) {
            const float v = sum[r * 16 + t2] + x2[r];
            const float v2 = v + x0[r * 16 + t2];
            y[r * 16 + t2] = residual_at_least_f32(v2, 0.0f);
        }
    }
}

/* tensor.reduce {kind = mean, axes = [2, 3], keep_dims = False}: (f32[1, 2, 4, 4]) -> f32[1, 2].
 * First used for node "pool" (GlobalAveragePool), node "flatten" (Flatten). */
RESIDUAL_KERNEL void residual_reduce_0(const float *restrict x, float *restrict y,
    float *restrict lane)
{
    for (ptrdiff_t i1 = 0; i1 < 2; i1++) {
        lane[0] = 0.0f;
        const float *const row = x + i1 * 16;
        for (ptrdiff_t k = 0; k < 16; k++) {
            lane[0] += row[k];
        }
        y[i1] = lane[0] / 16.0f;
    }
}

int residual_run(const void *const *inputs, void *const *outputs, void *arena)
{
    unsigned char *const a = arena;
    const struct residual_weights *const w = &residual_weights;
    /* node "pad" (Pad), node "conv" (Conv), node "norm" (BatchNormalization), node "skip" (Add),
     * node "relu" (Relu) */
    residual_conv_0((const float *)inputs[0], w->w, w->constant, (float *)(a + 1280),
        (float *)(a + 0), (float *)(a + 1152));
    /* node "pool" (GlobalAveragePool), node "flatten" (Flatten) */
    residual_reduce_0((const float *)(a + 1280), (float *)outputs[0], (float *)(a + 0));
    return RESIDUAL_OK;
}

int residual_predict(const RESIDUAL_INPUT_0_TYPE *input, RESIDUAL_OUTPUT_0_TYPE *output, void *arena)
{
    const void *const inputs[1] = {input};
    void *const outputs[1] = {output};
    return residual_run(inputs, outputs, arena);
}
