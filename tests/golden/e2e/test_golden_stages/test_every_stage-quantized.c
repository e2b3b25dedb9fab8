/* The model quantized: kernels, and quantized_run. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "quantized.h"

/* Kernels stay functions of their own: inlined into one caller they would compete
 * for its registers. */
#if defined(__GNUC__)
#define QUANTIZED_KERNEL static __attribute__((noinline))
#else
#define QUANTIZED_KERNEL static
#endif

/* The layout of the weights is as planned. */
typedef char quantized_check_f[offsetof(struct quantized_weights, f) == 0 ? 1 : -1];
typedef char quantized_check_size[sizeof(struct quantized_weights) == 64 ? 1 : -1];

/* The nearest integer, ties to even, within a range; 0 for NaN.  Nothing here depends on a
 * branch, so that loops become vectors. */
static inline int32_t quantized_round_within_f32(float x, int32_t low, int32_t high)
{
    const float number = isnan(x) ? 0 : x;
    const float above = number > (float)low ? number : (float)low;
    return (int32_t)rintf(above < (float)high ? above : (float)high);
}

/* quant.quantize + quant.dequantize: (f32[2, 4]) -> f32[2, 4]. First used for node "quantize"
 * (QuantizeLinear), node "dequantize" (DequantizeLinear). */
QUANTIZED_KERNEL void quantized_elementwise_0(const float *restrict x, float *restrict y)
{
    for (ptrdiff_t i = 0; i < 8; i++) {
        const int32_t q = quantized_round_within_f32(x[i] / 0.125f, -131, 124) + 3;
        y[i] = (float)(q - 3) * 0.125f;
    }
}

/* nn.matmul {transpose_a = False, transpose_b = False}: (f32[2, 4], f32[4, 3]) -> f32[2, 3].
 * First used for node "matmul" (MatMul). */
QUANTIZED_KERNEL void quantized_matmul_0(const float *restrict a, const float *restrict b,
    float *restrict y, float *restrict sum)
{
    for (ptrdiff_t i = 0; i < 6; i++) {
        sum[i] = 0.0f;
    }
    for (ptrdiff_t k = 0; k < 4; k++) {
        for (ptrdiff_t r = 0; r < 2; r++) {
            const float factor = a[r * 4 + k];
            for (ptrdiff_t t = 0; t < 3; t++) {
                sum[r * 3 + t] += factor * b[k * 3 + t];
            }
        }
    }
    for (ptrdiff_t r = 0; r < 2; r++) {
        for (ptrdiff_t t = 0; t < 3; t++) {
            y[r * 3 + t] = sum[r * 3 + t];
        }
    }
}

int quantized_run(const void *const *inputs, void *const *outputs, void *arena)
{
    unsigned char *const a = arena;
    const struct quantized_weights *const w = &quantized_weights;
    /* node "quantize" (QuantizeLinear), node "dequantize" (DequantizeLinear) */
    quantized_elementwise_0((const float *)inputs[0], (float *)(a + 0));
    /* node "matmul" (MatMul) */
    quantized_matmul_0((const float *)(a + 0), w->f, (float *)outputs[0], (float *)(a + 64));
    return QUANTIZED_OK;
}

int quantized_predict(const QUANTIZED_INPUT_0_TYPE *input, QUANTIZED_OUTPUT_0_TYPE *output, void *arena)
{
    const void *const inputs[1] = {input};
    void *const outputs[1] = {output};
    return quantized_run(inputs, outputs, arena);
}
