/* The neural network swaps, compiled by burnish.
 *
 * C99 without allocation. The macros below give sizes, shapes and element types of
 * inputs and outputs. */

#ifndef SWAPS_H
#define SWAPS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What swaps_run returns. */
#define SWAPS_OK 0
#define SWAPS_ERROR_INDEX 1 /* an index tensor points out of range */
#define SWAPS_ERROR_WEIGHTS 2 /* weights are not loaded, or do not fit */
#define SWAPS_ERROR_LOOP 3 /* a loop ran more or less often than declared */
#define SWAPS_ERROR_SHAPE 4 /* data is not of the shape or count declared */
#define SWAPS_ERROR_SIZE 5 /* a dimension lies outside its range */

/* Activation memory. */
#define SWAPS_ARENA_BYTES 256
#define SWAPS_ARENA_ALIGNMENT 64

#if defined(__GNUC__)
#define SWAPS_ALIGNED __attribute__((aligned(64)))
#else
#define SWAPS_ALIGNED
#endif

#define SWAPS_INPUT_COUNT 3

/* tensor<i64[]> */
#define SWAPS_INPUT_0_NAME "n"
#define SWAPS_INPUT_0_TYPE int64_t
#define SWAPS_INPUT_0_DTYPE "i64"
#define SWAPS_INPUT_0_RANK 0
#define SWAPS_INPUT_0_SHAPE {0}
#define SWAPS_INPUT_0_ELEMENTS 1
#define SWAPS_INPUT_0_BYTES 8

/* tensor<f16[3]> */
#define SWAPS_INPUT_1_NAME "p"
#define SWAPS_INPUT_1_TYPE uint16_t
#define SWAPS_INPUT_1_DTYPE "f16"
#define SWAPS_INPUT_1_RANK 1
#define SWAPS_INPUT_1_SHAPE {3}
#define SWAPS_INPUT_1_ELEMENTS 3
#define SWAPS_INPUT_1_BYTES 6

/* tensor<f16[3]> */
#define SWAPS_INPUT_2_NAME "q"
#define SWAPS_INPUT_2_TYPE uint16_t
#define SWAPS_INPUT_2_DTYPE "f16"
#define SWAPS_INPUT_2_RANK 1
#define SWAPS_INPUT_2_SHAPE {3}
#define SWAPS_INPUT_2_ELEMENTS 3
#define SWAPS_INPUT_2_BYTES 6

#define SWAPS_OUTPUT_COUNT 3

/* tensor<f16[3]> */
#define SWAPS_OUTPUT_0_NAME "result0"
#define SWAPS_OUTPUT_0_TYPE uint16_t
#define SWAPS_OUTPUT_0_DTYPE "f16"
#define SWAPS_OUTPUT_0_RANK 1
#define SWAPS_OUTPUT_0_SHAPE {3}
#define SWAPS_OUTPUT_0_ELEMENTS 3
#define SWAPS_OUTPUT_0_BYTES 6

/* tensor<f16[3]> */
#define SWAPS_OUTPUT_1_NAME "result1"
#define SWAPS_OUTPUT_1_TYPE uint16_t
#define SWAPS_OUTPUT_1_DTYPE "f16"
#define SWAPS_OUTPUT_1_RANK 1
#define SWAPS_OUTPUT_1_SHAPE {3}
#define SWAPS_OUTPUT_1_ELEMENTS 3
#define SWAPS_OUTPUT_1_BYTES 6

/* tensor<f16[3]> */
#define SWAPS_OUTPUT_2_NAME "result2"
#define SWAPS_OUTPUT_2_TYPE uint16_t
#define SWAPS_OUTPUT_2_DTYPE "f16"
#define SWAPS_OUTPUT_2_RANK 1
#define SWAPS_OUTPUT_2_SHAPE {3}
#define SWAPS_OUTPUT_2_ELEMENTS 3
#define SWAPS_OUTPUT_2_BYTES 6

/* Run the model. Reentrant: all state is in the arguments.
 *
 * inputs: SWAPS_INPUT_COUNT pointers to dense row-major tensors, only read.
 * outputs: SWAPS_OUTPUT_COUNT pointers to memory for the results; they must not
 *   overlap each other, the inputs, or the arena.
 * arena: SWAPS_ARENA_BYTES bytes of working memory, aligned to SWAPS_ARENA_ALIGNMENT.
 *   Its contents need not be kept between calls.
 * Returns SWAPS_OK, or an error code; outputs are then undefined. */
int swaps_run(const void *const *inputs, void *const *outputs, void *arena);

#ifdef __cplusplus
}
#endif

#endif /* SWAPS_H */
