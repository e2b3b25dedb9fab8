/* A program around the compiled digit classifier, as firmware would hold one.
 *
 *   burnish compile examples/digits/digits.onnx --option weights=array --out build/digits
 *   cc -O2 -Ibuild/digits examples/digits/main.c build/digits/digits.c \
 *      build/digits/digits_weights.c -lm -o build/digits/demo
 */
#include <stdio.h>

#include "digits.h"

/* A handwritten 3, 8 rows of 8 pixels from 0 (paper) to 16 (ink). */
static const unsigned char image[DIGITS_INPUT_0_ELEMENTS] = {
    0, 0, 9, 16, 10, 1, 0, 0,
    0, 0, 8, 3, 16, 4, 0, 0,
    0, 0, 0, 5, 14, 2, 0, 0,
    0, 0, 2, 16, 15, 7, 0, 0,
    0, 0, 0, 0, 3, 15, 2, 0,
    0, 4, 6, 0, 0, 13, 7, 0,
    0, 6, 13, 1, 5, 16, 3, 0,
    0, 0, 10, 16, 15, 5, 0, 0,
};

/* All working memory of the network; it holds nothing between two calls. */
DIGITS_ALIGNED static unsigned char arena[DIGITS_ARENA_BYTES];

int main(void)
{
    float input[DIGITS_INPUT_0_ELEMENTS];
    float logits[DIGITS_OUTPUT_0_ELEMENTS];
    int best = 0;
    int i;

    for (i = 0; i < DIGITS_INPUT_0_ELEMENTS; i++) {
        input[i] = (float)image[i] / 16.0f;
    }
    if (digits_predict(input, logits, arena) != DIGITS_OK) {
        return 1;
    }
    for (i = 1; i < DIGITS_OUTPUT_0_ELEMENTS; i++) {
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    printf("This is a %d. Working memory: %d bytes.\n", best, DIGITS_ARENA_BYTES);
    return 0;
}
