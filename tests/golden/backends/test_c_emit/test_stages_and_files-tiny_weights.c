/* Weights of the model tiny. */

#include <math.h>
#include "tiny.h"

TINY_WEIGHTS_ATTRIBUTE const struct tiny_weights tiny_weights = {
    .w = {
        0.100000001f, -2.00000000f, 2.99999989e-08f, 1.00000000f, 1.00000002e+30f, -0.00000000f,
    },
};
