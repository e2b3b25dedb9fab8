/* Floating-point operations per second of twelve independent chains of multiply-adds. */
#include <time.h>

#if defined(__FMA__)
typedef float vector __attribute__((vector_size(32)));
#define FMA(a, b) __builtin_ia32_vfmaddps256(a, b, b)
#define HIDE(b) __asm__ volatile("" : "+x"(b))
#elif defined(__aarch64__)
typedef float vector __attribute__((vector_size(16)));
#define FMA(a, b) ((a) * (b) + (b))
#define HIDE(b) __asm__ volatile("" : "+w"(b))
#else
typedef float vector __attribute__((vector_size(16)));
#define FMA(a, b) ((a) * (b) + (b))
#define HIDE(b) __asm__ volatile("" : "+m"(b))
#endif
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

volatile float sink;

double peak(void)
{
    const double start = seconds();
    const int lanes = sizeof(vector) / sizeof(float);
    vector b = {.5f, .5f, .5f, .5f};
#define DECLARE(i) vector a##i = {i, i, i, i};
    EACH(DECLARE)
    HIDE(b);
    for (int k = 0; k < 20000; k++) {
#define ADD(i) a##i = FMA(a##i, b);
        EACH(ADD)
    }
#define SUM(i) b += a##i;
    EACH(SUM)
    sink = b[0] + b[3];
    return 20000.0 * 12 * 2 * lanes / (seconds() - start);
}
