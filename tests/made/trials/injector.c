// Counts the operations that change files below one folder, and lets the k-th kill the process (alone or with
// its session) or fail, it and every one after it. Lets the clock of the day jump, too. Loaded by LD_PRELOAD;
// children inherit what was set, programs that they begin read it in RESCLI_FAULT, and the count is shared.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long at = -1;
static int failure = 0; // 0: kill; -1: count alone; -2: kill this process alone
static char under[PATH_MAX];
static volatile long *count = NULL;

static const struct { const char *name; int number; } ERRORS[] = {
    {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}, {"ENOENT", ENOENT},
    {"EACCES", EACCES}, {"kill", 0}, {"count", -1}, {"kill alone", -2},
};

// what: k, what it does, the file of the count and the folder, a line each.
void rescli_fault_set(const char *what) {
  char action[16], counted[PATH_MAX];
  long k;
  if (sscanf(what, "%ld\n%15[^\n]\n%4095[^\n]\n%4095[^\n]", &k, action, counted, under) != 4) abort();
  int file = open(counted, O_RDWR);
  void *page = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (page == MAP_FAILED) abort();
  close(file);
  count = page;
  for (size_t i = 0; i < sizeof(ERRORS) / sizeof(*ERRORS); i++)
    if (!strcmp(ERRORS[i].name, action)) failure = ERRORS[i].number;
  at = k;
}

__attribute__((constructor)) static void inherit(void) {
  const char *what = getenv("RESCLI_FAULT");
  if (what) rescli_fault_set(what);
}

static int below(const char *path) {
  if (!under[0] || !path) return 0;
  char whole[2 * PATH_MAX];
  if (path[0] != '/') {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof(here))) return 0;
    snprintf(whole, sizeof(whole), "%s/%s", here, path);
    path = whole;
  }
  size_t length = strlen(under);
  return !strncmp(path, under, length) && (!path[length] || path[length] == '/');
}

static int of_descriptor(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof(path) - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

// Whether this operation is to fail; errno says how.
static int hit(int counts) {
  if (!counts || at < 0) return 0;
  long now = __sync_add_and_fetch(count, 1);
  if (now < at || failure == -1) return 0;
  if (failure == 0 || failure == -2) {
    if (now == at) kill(failure ? getpid() : -getsid(0), SIGKILL), pause();
    return 0;
  }
  errno = failure;
  return 1;
}

#define REAL(name) static __typeof__(&name) real = NULL; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define CHANGES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND))
#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) { REAL(open); MODE(flags); if (CHANGES(flags) && hit(below(path))) return -1; return real(path, flags, mode); }
int open64(const char *path, int flags, ...) { REAL(open64); MODE(flags); if (CHANGES(flags) && hit(below(path))) return -1; return real(path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { REAL(openat); MODE(flags); if (CHANGES(flags) && hit(path[0] == '/' || dir == AT_FDCWD ? below(path) : of_descriptor(dir))) return -1; return real(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { REAL(openat64); MODE(flags); if (CHANGES(flags) && hit(path[0] == '/' || dir == AT_FDCWD ? below(path) : of_descriptor(dir))) return -1; return real(dir, path, flags, mode); }
FILE *fopen(const char *path, const char *mode) { REAL(fopen); if (mode[0] != 'r' && hit(below(path))) return NULL; return real(path, mode); }
FILE *fopen64(const char *path, const char *mode) { REAL(fopen64); if (mode[0] != 'r' && hit(below(path))) return NULL; return real(path, mode); }
ssize_t write(int fd, const void *data, size_t size) { REAL(write); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd, data, size); }
ssize_t writev(int fd, const struct iovec *parts, int n) { REAL(writev); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd, parts, n); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t place) { REAL(pwrite); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd, data, size, place); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) { REAL(pwrite64); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd, data, size, place); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) { REAL(copy_file_range); if (at >= 0 && hit(of_descriptor(out))) return -1; return real(in, from, out, to, size, flags); }
int fsync(int fd) { REAL(fsync); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd, size); }
int rename(const char *from, const char *to) { REAL(rename); if (hit(below(to))) return -1; return real(from, to); }
int renameat(int a, const char *from, int b, const char *to) { REAL(renameat); if (hit(below(to))) return -1; return real(a, from, b, to); }
int unlink(const char *path) { REAL(unlink); if (hit(below(path))) return -1; return real(path); }
int unlinkat(int dir, const char *path, int flags) { REAL(unlinkat); if (hit(path[0] == '/' || dir == AT_FDCWD ? below(path) : of_descriptor(dir))) return -1; return real(dir, path, flags); }
int rmdir(const char *path) { REAL(rmdir); if (hit(below(path))) return -1; return real(path); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); if (hit(below(path))) return -1; return real(path, mode); }
int mkdirat(int dir, const char *path, mode_t mode) { REAL(mkdirat); if (hit(path[0] == '/' || dir == AT_FDCWD ? below(path) : of_descriptor(dir))) return -1; return real(dir, path, mode); }
int link(const char *from, const char *to) { REAL(link); if (hit(below(to))) return -1; return real(from, to); }
int symlink(const char *from, const char *to) { REAL(symlink); if (hit(below(to))) return -1; return real(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) { REAL(linkat); if (hit(below(to))) return -1; return real(a, from, b, to, flags); }
int symlinkat(const char *from, int dir, const char *to) { REAL(symlinkat); if (hit(below(to))) return -1; return real(from, dir, to); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { REAL(renameat2); if (hit(below(to))) return -1; return real(a, from, b, to, flags); }
ssize_t sendfile(int out, int in, off_t *place, size_t size) { REAL(sendfile); if (at >= 0 && hit(of_descriptor(out))) return -1; return real(out, in, place, size); }
ssize_t sendfile64(int out, int in, off64_t *place, size_t size) { REAL(sendfile64); if (at >= 0 && hit(of_descriptor(out))) return -1; return real(out, in, place, size); }
int chmod(const char *path, mode_t mode) { REAL(chmod); if (hit(below(path))) return -1; return real(path, mode); }
int fchmod(int fd, mode_t mode) { REAL(fchmod); if (at >= 0 && hit(of_descriptor(fd))) return -1; return real(fd, mode); }
int posix_fallocate(int fd, off_t place, off_t size) { REAL(posix_fallocate); if (at >= 0 && hit(of_descriptor(fd))) return errno; return real(fd, place, size); }
int posix_fallocate64(int fd, off64_t place, off64_t size) { REAL(posix_fallocate64); if (at >= 0 && hit(of_descriptor(fd))) return errno; return real(fd, place, size); }

static long jump_after = -1, jump_seconds = 0, looks = 0;

// From the n-th look at the clock of the day on it is so many seconds off.
void rescli_clock_set(long n, long seconds) { jump_seconds = seconds; jump_after = n; }

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(clock_gettime);
  int answer = real(clock, now);
  if (clock == CLOCK_REALTIME && jump_after >= 0 && __sync_add_and_fetch(&looks, 1) > jump_after)
    now->tv_sec += jump_seconds;
  return answer;
}
