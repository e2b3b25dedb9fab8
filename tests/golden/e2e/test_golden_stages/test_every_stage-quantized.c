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

/* The nearest integer, ties to even, within a range; 0 for NaN. */
static inline int32_t quantized_round_within_f32(float x, int32_t low, int32_t high)
{
    const float r = isnan(x) ? 0 : rintf(x);
    return r <= (float)low ? low : r >= (float)high ? high : (int32_t)r;
}

/* quant.quantize {encoding = quant(0.125, 3), dtype = i8}: (f32[2, 4]) -> i8[2, 4], quant(0.125,
 * 3). First used for node "quantize" (QuantizeLinear). */
QUANTIZED_KERNEL void quantized_quantize_0(const float *restrict x, int8_t *restrict y)
{
    for (ptrdiff_t n = 0; n < 8; n++) {
        y[n] = (int8_t)(quantized_round_within_f32(x[n] / 0.125f, -131, 124) + 3);
    }
}

/* quant.dequantize: (i8[2, 4], quant(0.125, 3)) -> f32[2, 4]. First used for node "dequantize"
 * (DequantizeLinear). */
QUANTIZED_KERNEL void quantized_dequantize_0(const int8_t *restrict x, float *restrict y)
{
    for (ptrdiff_t n = 0; n < 8; n++) {
        y[n] = (float)(x[n] - 3) * 0.125f;
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
    /* node "quantize" (QuantizeLinear) */
    quantized_quantize_0((const float *)inputs[0], (int8_t *)(a + 0));
    /* node "dequantize" (DequantizeLinear) */
    quantized_dequantize_0((const int8_t *)(a + 0), (float *)(a + 64));
    /* node "matmul" (MatMul) */
    quantized_matmul_0((const float *)(a + 64), w->f, (float *)outputs[0], (float *)(a + 0));
    return QUANTIZED_OK;
}

int quantized_predict(const QUANTIZED_INPUT_0_TYPE *input, QUANTIZED_OUTPUT_0_TYPE *output, void *arena)
{
    const void *const inputs[1] = {input};
    void *const outputs[1] = {output};
    return quantized_run(inputs, outputs, arena);
}
