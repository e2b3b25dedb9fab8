/* Workers: asleep, or looking for a round, which is a kernel that all threads have a part in.
 *
 * Every part of a round is claimed once: by the worker whose it is, or by the run itself, which
 * takes what nobody has claimed by the time that its own part is done. */
#if defined(__x86_64__) || defined(__i386__)
#define NET_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define NET_PAUSE() __asm__ __volatile__("yield")
#else
#define NET_PAUSE() ((void)0)
#endif

/* How often a worker looks for the next round before it sleeps. */
#ifndef NET_SPINS
#define NET_SPINS 2000
#endif

typedef void net_thread_part(const void *arguments, ptrdiff_t thread);

struct net_worker {
    size_t claimed; /* the last round of which somebody took this worker's part */
    size_t done; /* the last round of which this worker's part is finished */
    pthread_t thread;
    unsigned char apart[128]; /* what others write to is in other cache lines */
};

static struct {
    size_t round;
    net_thread_part *part;
    const void *arguments;
    int sleeping;
    int stopping;
    unsigned char apart[128];
    struct net_worker workers[NET_THREADS - 1];
    int taken; /* whether a run has the workers */
    int started;
    int running; /* how many of them there are */
    int watches_forks;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} net_pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static size_t net_round_after(size_t seen)
{
    size_t round;
    int spins;
    for (spins = 0; spins < NET_SPINS; spins++) {
        round = __atomic_load_n(&net_pool.round, __ATOMIC_ACQUIRE);
        if (round != seen) {
            return round;
        }
        NET_PAUSE();
    }
    /* A round that begins now is seen here, or its run sees that somebody sleeps. */
    pthread_mutex_lock(&net_pool.mutex);
    __atomic_add_fetch(&net_pool.sleeping, 1, __ATOMIC_SEQ_CST);
    while ((round = __atomic_load_n(&net_pool.round, __ATOMIC_SEQ_CST)) == seen) {
        pthread_cond_wait(&net_pool.changed, &net_pool.mutex);
    }
    __atomic_sub_fetch(&net_pool.sleeping, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&net_pool.mutex);
    return round;
}

static void net_begin_round(void)
{
    __atomic_add_fetch(&net_pool.round, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&net_pool.sleeping, __ATOMIC_SEQ_CST) > 0) {
        pthread_mutex_lock(&net_pool.mutex);
        pthread_cond_broadcast(&net_pool.changed);
        pthread_mutex_unlock(&net_pool.mutex);
    }
}

static int net_claim(struct net_worker *worker, size_t round)
{
    size_t before = round - 1;
    return __atomic_compare_exchange_n(
        &worker->claimed, &before, round, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void *net_work(void *argument)
{
    struct net_worker *const self = argument;
    const ptrdiff_t thread = self - net_pool.workers + 1;
    size_t round = __atomic_load_n(&self->done, __ATOMIC_ACQUIRE);
    for (;;) {
        round = net_round_after(round);
        if (__atomic_load_n(&net_pool.stopping, __ATOMIC_ACQUIRE)) {
            return NULL;
        }
        if (net_claim(self, round)) {
            net_pool.part(net_pool.arguments, thread);
            __atomic_store_n(&self->done, round, __ATOMIC_RELEASE);
        }
    }
}

/* The process that a fork makes has none of the workers. */
static void net_forget_workers(void)
{
    static const pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    net_pool.mutex = mutex;
    net_pool.changed = changed;
    net_pool.sleeping = net_pool.taken = net_pool.started = net_pool.running = 0;
}

static void net_start_workers(void)
{
    sigset_t all, before;
    if (!net_pool.watches_forks) {
        net_pool.watches_forks = pthread_atfork(NULL, NULL, net_forget_workers) == 0;
    }
    net_pool.started = 1;
    /* Signals are for the threads of the program. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (net_pool.running < NET_THREADS - 1) {
        struct net_worker *const worker = &net_pool.workers[net_pool.running];
        worker->claimed = worker->done = net_pool.round;
        if (pthread_create(&worker->thread, NULL, net_work, worker) != 0) {
            break; /* the run computes the parts of those that are missing */
        }
        net_pool.running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Whether this run has the workers now; another one may have them. */
static int net_take_workers(void)
{
    if (__atomic_exchange_n(&net_pool.taken, 1, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    if (!net_pool.started) {
        net_start_workers();
    }
    return 1;
}

static void net_give_workers(void)
{
    __atomic_store_n(&net_pool.taken, 0, __ATOMIC_RELEASE);
}

/* Compute all parts of a kernel. */
static void net_share(int has_workers, net_thread_part *part, const void *arguments)
{
    ptrdiff_t thread;
    size_t round;
    if (!has_workers) {
        for (thread = 0; thread < NET_THREADS; thread++) {
            part(arguments, thread);
        }
        return;
    }
    net_pool.part = part;
    net_pool.arguments = arguments;
    net_begin_round();
    round = net_pool.round;
    part(arguments, 0);
    for (thread = 1; thread <= net_pool.running; thread++) {
        struct net_worker *const worker = &net_pool.workers[thread - 1];
        if (net_claim(worker, round)) {
            part(arguments, thread);
            __atomic_store_n(&worker->done, round, __ATOMIC_RELEASE);
        }
    }
    for (; thread < NET_THREADS; thread++) {
        part(arguments, thread);
    }
    for (thread = 1; thread <= net_pool.running; thread++) {
        struct net_worker *const worker = &net_pool.workers[thread - 1];
        int spins = 0;
        while (__atomic_load_n(&worker->done, __ATOMIC_ACQUIRE) != round) {
            if (spins < NET_SPINS) {
                spins++;
                NET_PAUSE();
            } else {
                sched_yield();
            }
        }
    }
}

#if defined(__GNUC__)
/* When the library is unloaded, or the program ends. */
__attribute__((destructor))
#endif
void net_shutdown(void)
{
    int i;
    if (__atomic_exchange_n(&net_pool.taken, 1, __ATOMIC_ACQUIRE)) {
        return;
    }
    if (net_pool.running > 0) {
        __atomic_store_n(&net_pool.stopping, 1, __ATOMIC_RELEASE);
        net_begin_round();
        for (i = 0; i < net_pool.running; i++) {
            pthread_join(net_pool.workers[i].thread, NULL);
        }
    }
    net_pool.started = net_pool.running = net_pool.stopping = 0;
    net_give_workers();
}
