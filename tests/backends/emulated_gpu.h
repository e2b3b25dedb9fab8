// What CUDA kernels need to run on a processor: one block of threads after the other, every thread
// a context of its own.  A thread runs until it waits for the others; then the next one does.  So a
// kernel that lacks a barrier reads what has not been written yet, each time it runs.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <setjmp.h>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __restrict__
#define __shared__ static
#define uint unsigned int
#define uchar unsigned char
#define ushort unsigned short
#define CUDART_INF_F INFINITY
#define CUDART_NAN_F NAN
#define CUDART_INF INFINITY
#define CUDART_NAN NAN

typedef _Float16 half;

// The upper half of a float; numbers are rounded to nearest, ties to even.
struct nv_bfloat16 {
  uint16_t bits;
  nv_bfloat16() = default;
  template <typename T> explicit nv_bfloat16(T value) {
    float nearest = (float)value;
    uint32_t wide;
    std::memcpy(&wide, &nearest, 4);
    // Rounding twice is rounding once if the first time goes to the odd neighbour.
    const long double exact = value, rounded = nearest;
    if (exact != rounded && exact == exact && std::isfinite(nearest))
      wide = (wide - (std::fabs(rounded) > std::fabs(exact))) | 1;
    if (nearest != nearest) bits = 0x7fff;
    else bits = (wide + 0x7fff + (wide >> 16 & 1)) >> 16;
  }
  operator float() const {
    const uint32_t wide = (uint32_t)bits << 16;
    float found;
    std::memcpy(&found, &wide, 4);
    return found;
  }
};
typedef nv_bfloat16 __nv_bfloat16;

struct dim3 { int x = 0, y = 0, z = 0; };
static dim3 threadIdx, blockIdx;

namespace emulated {

enum State { RUNS, WAITS_FOR_BLOCK, WAITS_FOR_WARP, ENDED };

struct Thread {
  ucontext_t context;  // where it begins
  jmp_buf place;       // where it waits
  State state;
  dim3 index;
  std::unique_ptr<char[]> stack;  // its pages take no memory until they are used
};

static const size_t STACK_BYTES = 1 << 18;
static std::vector<Thread> threads;  // those of the largest block so far
static int count;                    // of the block's threads
static jmp_buf scheduler;
static int current;
static float exchanged[1024];
static long long exchanged_wide[1024];
static uchar* shared;

// Let the scheduler go on.
static void wait(State state) {
  Thread& thread = threads[current];
  thread.state = state;
  if (!_setjmp(thread.place)) _longjmp(scheduler, 1);
}

static void fail(const char* reason) {
  std::fprintf(stderr, "emulated GPU: %s\n", reason);
  std::abort();
}

// Let threads first..last go on, if all that have not ended wait for each other.
static bool release(int first, int last, State state) {
  bool any = false;
  for (int t = first; t < last; ++t) {
    if (threads[t].state != state && threads[t].state != ENDED) return false;
    any = any || threads[t].state == state;
  }
  for (int t = first; t < last; ++t)
    if (threads[t].state == state) threads[t].state = RUNS;
  return any;
}

static void (*kernel)(void**);
static void** arguments;

// A thread of one block after the other.
static void begin() {
  for (;;) {
    kernel(arguments);
    wait(ENDED);
  }
}

// Let a thread go on until it waits.  Contexts change without asking the system, which takes long.
static void __attribute__((noinline)) go_on(Thread& thread) {
  if (_setjmp(scheduler)) return;
  if (thread.stack) _longjmp(thread.place, 1);
  thread.stack.reset(new char[STACK_BYTES]);
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack.get();
  thread.context.uc_stack.ss_size = STACK_BYTES;
  thread.context.uc_link = nullptr;
  makecontext(&thread.context, begin, 0);
  setcontext(&thread.context);
}

// Last threads first where `backwards`: what depends on an order that nothing guarantees differs.
static void run_block(dim3 block, bool backwards) {
  count = block.x * block.y * block.z;
  if (threads.size() < (size_t)count) threads.resize(count);
  for (int t = 0; t < count; ++t) {
    Thread& thread = threads[t];
    thread.state = RUNS;
    thread.index.x = t % block.x;
    thread.index.y = t / block.x % block.y;
    thread.index.z = t / (block.x * block.y);
  }
  for (;;) {
    bool progress = false;
    for (int step = 0; step < count; ++step) {
      current = backwards ? count - 1 - step : step;
      if (threads[current].state != RUNS) continue;
      threadIdx = threads[current].index;
      go_on(threads[current]);
      progress = true;
    }
    for (int first = 0; first < count; first += 32) {
      const int last = first + 32 < count ? first + 32 : count;
      progress = release(first, last, WAITS_FOR_WARP) || progress;
    }
    progress = release(0, count, WAITS_FOR_BLOCK) || progress;
    if (progress) continue;
    for (int t = 0; t < count; ++t)
      if (threads[t].state != ENDED) fail("threads wait for each other for ever");
    return;
  }
}

static void run(void (*which)(void**), void** given, const int* sizes, bool backwards) {
  kernel = which;
  arguments = given;
  dim3 block;
  block.x = sizes[3], block.y = sizes[4], block.z = sizes[5];
  std::vector<uchar> memory(1 << 18);
  shared = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
  for (blockIdx.z = 0; blockIdx.z < sizes[2]; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < sizes[1]; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < sizes[0]; ++blockIdx.x) {
        std::memset(memory.data(), 0xff, memory.size());  // NaN in all formats
        run_block(block, backwards);
      }
}

}  // namespace emulated

static inline void __syncthreads() { emulated::wait(emulated::WAITS_FOR_BLOCK); }
static inline void __syncwarp() { emulated::wait(emulated::WAITS_FOR_WARP); }
static inline uint __activemask() { return 0xffffffffu; }

template <typename T>
static T __shfl_down_sync(uint, T value, uint offset, int width) {
  using namespace emulated;
  static_assert(sizeof(T) <= 8, "");
  std::memcpy(&exchanged_wide[current], &value, sizeof(T));
  wait(WAITS_FOR_WARP);
  const uint lane = current % 32;
  const bool inside = lane % width + offset < (uint)width && current + offset < (uint)count;
  T found;
  std::memcpy(&found, &exchanged_wide[inside ? current + offset : current], sizeof(T));
  wait(WAITS_FOR_WARP);
  return found;
}

template <typename T>
static T __shfl_sync(uint, T value, uint source, int width) {
  using namespace emulated;
  std::memcpy(&exchanged_wide[current], &value, sizeof(T));
  wait(WAITS_FOR_WARP);
  T found;
  std::memcpy(&found, &exchanged_wide[current - current % width + source % width], sizeof(T));
  wait(WAITS_FOR_WARP);
  return found;
}

// Numbers -------------------------------------------------------------------------------------

template <typename T> struct Pair { T x, y; };
template <typename T> struct Four { T x, y, z, w; };
// Vectors NAME2 and NAME4 of a type.
#define VECTORS(NAME, TYPE)                                                          \
  typedef Pair<TYPE> NAME##2;                                                        \
  typedef Four<TYPE> NAME##4;                                                        \
  static inline NAME##2 make_##NAME##2(TYPE x, TYPE y) { return {x, y}; }            \
  static inline NAME##4 make_##NAME##4(TYPE x, TYPE y, TYPE z, TYPE w) {             \
    return {x, y, z, w};                                                             \
  }
VECTORS(float, float)
VECTORS(double, double)
VECTORS(half, half)
VECTORS(nv_bfloat16, nv_bfloat16)
VECTORS(char, signed char)
VECTORS(uchar, unsigned char)
VECTORS(short, short)
VECTORS(ushort, unsigned short)
VECTORS(int, int)
VECTORS(uint, unsigned int)
VECTORS(longlong, long long)
VECTORS(ulonglong, unsigned long long)
#undef VECTORS

static inline nv_bfloat16 __float2bfloat16_rn(float x) { return nv_bfloat16(x); }
static inline half __float2half_rn(float x) { return (half)x; }
static inline half __double2half(double x) { return (half)x; }
static inline float __half2float(half x) { return (float)x; }
static inline uint __pack_half2(half x, half y) {
  uint16_t low, high;
  std::memcpy(&low, &x, 2), std::memcpy(&high, &y, 2);
  return low | (uint)high << 16;
}
template <typename T, typename S> static T reinterpreted(S value) {
  T found;
  std::memcpy(&found, &value, sizeof found);
  return found;
}
template <typename T> static T max(T x, T y) { return x > y ? x : y; }
template <typename T> static T min(T x, T y) { return x < y ? x : y; }
using std::isnan;

// Fragments: a warp's first thread keeps them, and does what the warp does together. -----------

namespace nvcuda {
namespace wmma {
struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
enum layout_t { mem_row_major };

template <typename Use, int m, int n, int k, typename T, typename Layout = row_major>
struct fragment { T at[16][16]; };

static bool first_of_warp() { return emulated::current % 32 == 0; }

static void check_address(const void* source, unsigned bytes) {
  if (reinterpret_cast<uintptr_t>(source) % bytes) emulated::fail("a fragment is not aligned");
}

template <typename U, typename T>
static void load_matrix_sync(fragment<U, 16, 16, 16, T, row_major>& f, const T* source, int step) {
  check_address(source, 32);
  if (!first_of_warp()) return;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) f.at[i][j] = source[i * step + j];
}

template <typename U, typename T>
static void load_matrix_sync(fragment<U, 16, 16, 16, T, col_major>& f, const T* source, int step) {
  check_address(source, 32);
  if (!first_of_warp()) return;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) f.at[i][j] = source[j * step + i];
}

template <typename T>
static void store_matrix_sync(T* target, fragment<accumulator, 16, 16, 16, T>& f, int step,
                              layout_t) {
  check_address(target, 32);
  if (!first_of_warp()) return;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) target[i * step + j] = f.at[i][j];
}

template <typename F> static void fill_fragment(F& f, float value) {
  for (auto& row : f.at)
    for (auto& element : row) element = value;
}

template <typename A, typename B>
static void mma_sync(fragment<accumulator, 16, 16, 16, float>& d, const A& a, const B& b,
                     const fragment<accumulator, 16, 16, 16, float>& c) {
  if (!first_of_warp()) return;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      float sum = c.at[i][j];
      for (int k = 0; k < 16; ++k) sum += (float)a.at[i][k] * (float)b.at[k][j];
      d.at[i][j] = sum;
    }
}
}  // namespace wmma
}  // namespace nvcuda
