/* A library that tests preload: system calls that fail as on a full disk, on a file system without
 * locks, for an unreadable file — on the rank of a run that the test names. And a halt at a given
 * place.
 *
 *   FAULT_RANK            the rank that has the faults; otherwise all
 *   FAULT_UNREADABLE      opening a path that ends so fails with EACCES
 *   FAULT_OPENED          a file that gets a line for each path that is opened
 *   FAULT_FULL_BELOW      writing to files whose path holds this fails with ENOSPC ...
 *   FAULT_FULL_AFTER      ... after so many bytes of all of them together
 *   FAULT_NO_LOCKS        flock fails with ENOLCK
 *   FAULT_HALT_AFTER      the thread that has written this to its standard output waits ...
 *   FAULT_HALT_UNTIL      ... or until there is a file of this name ...
 *   FAULT_HALT_FOR_SIGNAL ... or, where set, until a signal comes that the program handles
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preloaded.h"

static const char* fault(const char* name) {
  const char* rank = getenv("FAULT_RANK");
  const char* mine = own_rank();
  if (rank != NULL && (mine == NULL || strcmp(rank, mine) != 0)) return NULL;
  return getenv(name);
}

static int ends_with(const char* path, const char* end) {
  const size_t n = strlen(path), m = strlen(end);
  return n >= m && strcmp(path + n - m, end) == 0;
}

static int unreadable(const char* path) {
  const char* end = fault("FAULT_UNREADABLE");
  return end != NULL && ends_with(path, end);
}

static void tell_opened(const char* path, int (*open_file)(const char*, int, ...)) {
  const char* told = fault("FAULT_OPENED");
  if (told == NULL) return;
  const int file = open_file(told, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return;
  dprintf(file, "%s\n", path);
  close(file);
}

static int full(int file, size_t bytes) {
  static atomic_long written;
  const char* below = fault("FAULT_FULL_BELOW");
  if (below == NULL) return 0;
  char path[PATH_MAX];
  if (strstr(path_of(file, path), below) == NULL) return 0;
  const char* after = getenv("FAULT_FULL_AFTER");
  return atomic_fetch_add(&written, (long)bytes) + (long)bytes > (after ? atol(after) : 0);
}

#define OPEN(name)                             \
  int name(const char* path, int flags, ...) { \
    va_list more;                              \
    va_start(more, flags);                     \
    const mode_t mode = va_arg(more, mode_t);  \
    va_end(more);                              \
    if (unreadable(path)) {                    \
      errno = EACCES;                          \
      return -1;                               \
    }                                          \
    tell_opened(path, NEXT(name));             \
    return NEXT(name)(path, flags, mode);      \
  }
OPEN(open)
OPEN(open64)

#define FULL(call)  \
  do {              \
    errno = ENOSPC; \
    return (call);  \
  } while (0)

// The program's own handlers, behind one that notes that a signal has come.
static void (*handlers[NSIG])(int);
static atomic_int signalled;

static void note_signal(int number) {
  signalled = 1;
  handlers[number](number);
}

static int has_handler(const struct sigaction* action) {
  return !(action->sa_flags & SA_SIGINFO) && action->sa_handler != SIG_DFL &&
         action->sa_handler != SIG_IGN && action->sa_handler != note_signal;
}

int sigaction(int number, const struct sigaction* action, struct sigaction* before) {
  struct sigaction noting;
  if (action != NULL && fault("FAULT_HALT_FOR_SIGNAL") != NULL && has_handler(action)) {
    noting = *action;
    handlers[number] = action->sa_handler;
    noting.sa_handler = note_signal;
    action = &noting;
  }
  const int status = NEXT(sigaction)(number, action, before);
  if (status == 0 && before != NULL && before->sa_handler == note_signal) {
    before->sa_handler = handlers[number];
  }
  return status;
}

static void halt(void) {
  const char* until = fault("FAULT_HALT_UNTIL");
  const int for_signal = fault("FAULT_HALT_FOR_SIGNAL") != NULL;
  while ((until == NULL || access(until, F_OK) != 0) && !(for_signal && signalled)) usleep(1000);
}

ssize_t write(int file, const void* data, size_t bytes) {
  if (full(file, bytes)) FULL(-1);
  const ssize_t n = NEXT(write)(file, data, bytes);
  const char* after = file == STDOUT_FILENO ? fault("FAULT_HALT_AFTER") : NULL;
  if (after != NULL && memmem(data, bytes, after, strlen(after)) != NULL) halt();
  return n;
}
ssize_t writev(int file, const struct iovec* parts, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  if (full(file, bytes)) FULL(-1);
  return NEXT(writev)(file, parts, count);
}
ssize_t pwrite(int file, const void* data, size_t bytes, off_t at) {
  if (full(file, bytes)) FULL(-1);
  return NEXT(pwrite)(file, data, bytes, at);
}
ssize_t pwrite64(int file, const void* data, size_t bytes, off64_t at) {
  if (full(file, bytes)) FULL(-1);
  return NEXT(pwrite64)(file, data, bytes, at);
}

int flock(int file, int operation) {
  if (fault("FAULT_NO_LOCKS") != NULL) {
    errno = ENOLCK;
    return -1;
  }
  return NEXT(flock)(file, operation);
}
