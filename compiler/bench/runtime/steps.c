/* The least time of each step: what NAME_STEP calls when models are measured step by step. */
#include <time.h>

double step_seconds[65536];
static struct timespec last;

void step_begin(void)
{
    clock_gettime(CLOCK_MONOTONIC, &last);
}

void step_end(int number)
{
    struct timespec now;
    double spent;
    clock_gettime(CLOCK_MONOTONIC, &now);
    spent = (double)(now.tv_sec - last.tv_sec) + 1e-9 * (double)(now.tv_nsec - last.tv_nsec);
    if (step_seconds[number] == 0 || spent < step_seconds[number]) {
        step_seconds[number] = spent;
    }
    clock_gettime(CLOCK_MONOTONIC, &last);
}
