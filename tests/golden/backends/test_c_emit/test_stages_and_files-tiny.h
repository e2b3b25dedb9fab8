/* The neural network tiny, compiled by burnish.
 *
 * C99 without allocation. The macros below give sizes, shapes and element types of
 * inputs and outputs. */

#ifndef TINY_H
#define TINY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What tiny_run returns. */
#define TINY_OK 0
#define TINY_ERROR_INDEX 1 /* an index tensor points out of range */
#define TINY_ERROR_WEIGHTS 2 /* weights are not loaded, or do not fit */
#define TINY_ERROR_LOOP 3 /* a loop ran more or less often than declared */
#define TINY_ERROR_SHAPE 4 /* data is not of the shape or count declared */
#define TINY_ERROR_SIZE 5 /* a dimension lies outside its range */

/* Activation memory. */
#define TINY_ARENA_BYTES 64
#define TINY_ARENA_ALIGNMENT 64

#if defined(__GNUC__)
#define TINY_ALIGNED __attribute__((aligned(64)))
#else
#define TINY_ALIGNED
#endif

#define TINY_INPUT_COUNT 2

/* tensor<f32[2, 3]> */
#define TINY_INPUT_0_NAME "x"
#define TINY_INPUT_0_TYPE float
#define TINY_INPUT_0_DTYPE "f32"
#define TINY_INPUT_0_RANK 2
#define TINY_INPUT_0_SHAPE {2, 3}
#define TINY_INPUT_0_ELEMENTS 6
#define TINY_INPUT_0_BYTES 24

/* tensor<bool[]> */
#define TINY_INPUT_1_NAME "flag"
#define TINY_INPUT_1_TYPE uint8_t
#define TINY_INPUT_1_DTYPE "bool"
#define TINY_INPUT_1_RANK 0
#define TINY_INPUT_1_SHAPE {0}
#define TINY_INPUT_1_ELEMENTS 1
#define TINY_INPUT_1_BYTES 1

#define TINY_OUTPUT_COUNT 1

/* tensor<f32[6]> */
#define TINY_OUTPUT_0_NAME "y"
#define TINY_OUTPUT_0_TYPE float
#define TINY_OUTPUT_0_DTYPE "f32"
#define TINY_OUTPUT_0_RANK 1
#define TINY_OUTPUT_0_SHAPE {6}
#define TINY_OUTPUT_0_ELEMENTS 6
#define TINY_OUTPUT_0_BYTES 24

#define TINY_WEIGHTS_BYTES 64
#define TINY_WEIGHTS_ALIGNMENT 64

/* Weights; each member is one tensor. */
struct tiny_weights {
    float w[6]; /* f32[2, 3] */
    unsigned char pad_end[40];
};

/* Define this to place the weights, such as __attribute__((section(".flash"))). */
#ifndef TINY_WEIGHTS_ATTRIBUTE
#define TINY_WEIGHTS_ATTRIBUTE TINY_ALIGNED
#endif
extern const struct tiny_weights tiny_weights;

/* Run the model. Reentrant: all state is in the arguments.
 *
 * inputs: TINY_INPUT_COUNT pointers to dense row-major tensors, only read.
 * outputs: TINY_OUTPUT_COUNT pointers to memory for the results; they must not
 *   overlap each other, the inputs, or the arena.
 * arena: TINY_ARENA_BYTES bytes of working memory, aligned to TINY_ARENA_ALIGNMENT.
 *   Its contents need not be kept between calls.
 * Returns TINY_OK, or an error code; outputs are then undefined. */
int tiny_run(const void *const *inputs, void *const *outputs, void *arena);

#ifdef __cplusplus
}
#endif

#endif /* TINY_H */
