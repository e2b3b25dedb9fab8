// What CUDA kernels need to run on a processor: one block of threads after the other, every thread
// a context of its own.  A thread runs until it waits for the others; then the next one does.  So a
// kernel that lacks a barrier reads what has not been written yet, each time it runs.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
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
struct dim3 { int x = 0, y = 0, z = 0; };
static dim3 threadIdx, blockIdx;

namespace emulated {

enum State { RUNS, WAITS_FOR_BLOCK, WAITS_FOR_WARP, ENDED };

struct Thread {
  ucontext_t context;
  State state;
  dim3 index;
  std::vector<char> stack;
};

static std::vector<Thread> threads;
static ucontext_t scheduler;
static int current;
static float exchanged[1024];
static long long exchanged_wide[1024];
static uchar* shared;

static void wait(State state) {
  threads[current].state = state;
  swapcontext(&threads[current].context, &scheduler);
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

static void begin() {
  kernel(arguments);
  threads[current].state = ENDED;
  swapcontext(&threads[current].context, &scheduler);
}

// Last threads first where `backwards`: what depends on an order that nothing guarantees differs.
static void run_block(dim3 block, bool backwards) {
  const int count = block.x * block.y * block.z;
  threads.resize(count);
  for (int t = 0; t < count; ++t) {
    Thread& thread = threads[t];
    thread.stack.resize(1 << 18);
    thread.state = RUNS;
    thread.index.x = t % block.x;
    thread.index.y = t / block.x % block.y;
    thread.index.z = t / (block.x * block.y);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = &scheduler;
    makecontext(&thread.context, begin, 0);
  }
  for (;;) {
    bool progress = false;
    for (int step = 0; step < count; ++step) {
      current = backwards ? count - 1 - step : step;
      if (threads[current].state != RUNS) continue;
      threadIdx = threads[current].index;
      swapcontext(&scheduler, &threads[current].context);
      progress = true;
    }
    for (int first = 0; first < count; first += 32) {
      const int last = first + 32 < count ? first + 32 : count;
      progress = release(first, last, WAITS_FOR_WARP) || progress;
    }
    progress = release(0, count, WAITS_FOR_BLOCK) || progress;
    if (progress) continue;
    for (const Thread& thread : threads)
      if (thread.state != ENDED) fail("threads wait for each other for ever");
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
  const bool inside = lane % width + offset < (uint)width && current + offset < threads.size();
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
typedef Pair<float> float2;
typedef Pair<int> int2;
typedef Pair<uint> uint2;
typedef Four<float> float4;
typedef Four<int> int4;
typedef Four<uint> uint4;
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(uint x, uint y) { return {x, y}; }
static inline uint4 make_uint4(uint x, uint y, uint z, uint w) { return {x, y, z, w}; }

typedef Pair<half> half2;
typedef Four<half> half4;
static inline half2 make_half2(half x, half y) { return {x, y}; }
static inline half4 make_half4(half x, half y, half z, half w) { return {x, y, z, w}; }

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
