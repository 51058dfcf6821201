// A clock that somebody else sets, for a server to go by: loaded into it with
// LD_PRELOAD. GATEWAYQUEUE_CLOCK names a file of eight bytes, the time in
// microseconds since 1970. It costs no more than the system's own clock does.

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t *now;

__attribute__((constructor)) static void look(void) {
  const char *path = getenv("GATEWAYQUEUE_CLOCK");
  int fd = path ? open(path, O_RDONLY) : -1;
  void *page = fd < 0 ? MAP_FAILED : mmap(0, sizeof *now, PROT_READ, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) abort();
  now = page;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
  int64_t t = *now;
  (void)zone;
  tv->tv_sec = t / 1000000;
  tv->tv_usec = t % 1000000;
  return 0;
}

time_t time(time_t *t) {
  time_t seconds = *now / 1000000;
  if (t) *t = seconds;
  return seconds;
}
