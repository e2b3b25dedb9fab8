/* Preloaded into a process, counts the bytes of aligned allocations that are in use.

   onnxruntime takes the memory of tensors, and kernels their working memory, from posix_memalign
   when its own arena is off; sizes are what it asks for. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#define MOST 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void *place;
    size_t size;
} blocks[MOST];
static size_t count, in_use, peak;
static int counting, lost;

/* Count what is allocated from now on; what is in use already is left out. */
void allocations_begin(void) {
    pthread_mutex_lock(&lock);
    count = in_use = peak = 0;
    lost = 0;
    counting = 1;
    pthread_mutex_unlock(&lock);
}

/* The most bytes in use at once since then, or -1 when there were too many blocks to count. */
long long allocations_end(void) {
    long long found;
    pthread_mutex_lock(&lock);
    counting = 0;
    found = lost ? -1 : (long long)peak;
    pthread_mutex_unlock(&lock);
    return found;
}

static void add(void *place, size_t size) {
    pthread_mutex_lock(&lock);
    if (count < MOST) {
        blocks[count].place = place;
        blocks[count++].size = size;
        in_use += size;
        if (in_use > peak) peak = in_use;
    } else {
        lost = 1;
    }
    pthread_mutex_unlock(&lock);
}

int posix_memalign(void **place, size_t alignment, size_t size) {
    static int (*original)(void **, size_t, size_t);
    int status;
    if (!original) *(void **)&original = dlsym(RTLD_NEXT, "posix_memalign");
    status = original(place, alignment, size);
    if (counting && status == 0) add(*place, size);
    return status;
}

void *aligned_alloc(size_t alignment, size_t size) {
    static void *(*original)(size_t, size_t);
    void *place;
    if (!original) *(void **)&original = dlsym(RTLD_NEXT, "aligned_alloc");
    place = original(alignment, size);
    if (counting && place) add(place, size);
    return place;
}

void free(void *place) {
    static void (*original)(void *);
    if (!original) *(void **)&original = dlsym(RTLD_NEXT, "free");
    if (counting && place) {
        pthread_mutex_lock(&lock);
        for (size_t i = count; i-- > 0;) {
            if (blocks[i].place == place) {
                in_use -= blocks[i].size;
                blocks[i] = blocks[--count];
                break;
            }
        }
        pthread_mutex_unlock(&lock);
    }
    original(place);
}
