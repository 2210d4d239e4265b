/* Stretches the moments in which C libraries hold their locks; loaded by LD_PRELOAD.

   A thread that has locked a mutex of OpenSSL, or a rwlock for writing, or that allocates inside of getaddrinfo, whose
   resolver holds locks of libc meanwhile, sleeps as it does so.  The main thread, which forks, never does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long stretch_us;
static struct { uintptr_t from, to; } openssl[16];
static int found;
static __thread int resolving, sleeping;

static int note(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    if (!strstr(info->dlpi_name, "libcrypto") && !strstr(info->dlpi_name, "libssl"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && found < 16; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            openssl[found].from = from;
            openssl[found++].to = from + info->dlpi_phdr[i].p_memsz;
        }
    return 0;
}

/* Called by ctypes once OpenSSL is loaded: from now on threads sleep for so many microseconds; 0 ends it. */
void stretch_begin(long us) {
    dl_iterate_phdr(note, 0);
    stretch_us = us;
}

int stretch_found(void) { return found; }

static void linger(void) {
    if (!stretch_us || sleeping || getpid() == (pid_t)syscall(SYS_gettid))
        return;
    struct timespec time = {stretch_us / 1000000, stretch_us % 1000000 * 1000};
    sleeping = 1;
    nanosleep(&time, 0);
    sleeping = 0;
}

static int of_openssl(void *caller) {
    for (int i = 0; i < found; i++)
        if ((uintptr_t)caller >= openssl[i].from && (uintptr_t)caller < openssl[i].to)
            return 1;
    return 0;
}

#define LOCK(name, type)                                       \
    int name(type *lock) {                                     \
        static int (*real)(type *);                            \
        if (!real)                                             \
            real = (int (*)(type *))dlsym(RTLD_NEXT, #name);   \
        int result = real(lock);                               \
        if (!result && of_openssl(__builtin_return_address(0))) \
            linger();                                          \
        return result;                                         \
    }

LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out) {
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (!real)
        real = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
    resolving++;
    int result = real(node, service, hints, out);
    resolving--;
    return result;
}

extern void *__libc_malloc(size_t);

void *malloc(size_t size) {
    if (resolving)
        linger();
    return __libc_malloc(size);
}
