// Preloaded into a server by a test: its wall clock is ahead of the machine's by the seconds that the file
// CLOCK_SHIFT_FILE holds (eight bytes, of this machine's order; read as mapped memory, so it can jump at any time). The
// monotonic clocks stay as they are, and so do waits.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* shift_at;

static int64_t shift(void) {
  if (shift_at == NULL) {
    static const int64_t none = 0;
    const char* path = getenv("CLOCK_SHIFT_FILE");
    const int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void* mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    shift_at = mapped == MAP_FAILED ? &none : mapped;
  }
  return *shift_at;
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  const int result = (int)syscall(SYS_clock_gettime, clock, out);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += shift();
  return result;
}

int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

// The kernel's clock did not jump: a wait until a time of day is told the kernel's. Times of the monotonic clock are
// far below.
int pthread_cond_timedwait(pthread_cond_t* restrict cond, pthread_mutex_t* restrict mutex,
                           const struct timespec* restrict until) {
  static int (*real)(pthread_cond_t*, pthread_mutex_t*, const struct timespec*);
  if (real == NULL) {
    *(void**)&real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  }
  struct timespec moved = *until;
  if (moved.tv_sec > 1000000000) moved.tv_sec -= shift();
  return real(cond, mutex, &moved);
}
