/* A library that tools/chaos preloads into every rank: it writes down, in order, each call that
 * changes what lies below a folder, with what it writes, and kills at a given one of them.
 *
 *   JOURNAL_FOLDER   the folder; absolute
 *   JOURNAL          a folder that holds the files `calls`, which is added to, and `state`, a
 *                    struct State of zeros
 *   JOURNAL_VICTIM   the rank to kill, "all" (a power cut), or nothing: no kill
 *   JOURNAL_KIND, JOURNAL_PATH, JOURNAL_NTH   at the n-th call of this kind on a path like this
 *                    (fnmatch), counted over all ranks from 1 ...
 *   JOURNAL_LATEST   ... but at this call of any kind at the latest
 *   JOURNAL_PART     in [0, 1]: a rank that is killed in its own call has done so much of a write,
 *                    or any other call from a half on; at a power cut the call is not done at all
 *
 * The file `calls` holds for each call a line  B kind number bytes path other  (tabs between)
 * before it is made, `bytes` bytes of data behind the line, and a line  E result  when it has
 * returned: what the call returned, or -errno. The call of the kill has K instead of B. One call at
 * a time is made over all ranks. journal.py reads it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preloaded.h"

enum { MOST_RANKS = 64 };

struct State {
  atomic_int processes[MOST_RANKS];  // the process of each rank, once it has begun
  atomic_int calls, matching;
  atomic_int cut;  // the power is off
};

static const char* folder;
static struct State* state;
static int journal = -1;
static int rank;
static int dying;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin_journal(void) {
  const char* where = getenv("JOURNAL");
  if (where == NULL || own_rank() == NULL) return;
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/state", where);
  const int file = NEXT(open)(path, O_RDWR | O_CLOEXEC);
  state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  snprintf(path, sizeof path, "%s/calls", where);
  journal = NEXT(open)(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  rank = atoi(own_rank());
  if (state == MAP_FAILED || journal < 0 || rank >= MOST_RANKS) abort();
  folder = getenv("JOURNAL_FOLDER");
  atomic_store(&state->processes[rank], getpid());
}

// ---- Paths -------------------------------------------------------------------------------------

static char* absolute(int at, const char* name, char* path) {
  if (name[0] == '/') {
    snprintf(path, PATH_MAX, "%s", name);
    return path;
  }
  if (at == AT_FDCWD) {
    if (getcwd(path, PATH_MAX) == NULL) path[0] = 0;
  } else {
    path_of(at, path);
  }
  const size_t n = strlen(path);
  snprintf(path + n, PATH_MAX - n, "/%s", name);
  return path;
}

// A file that has lost its name is of no interest any more.
static int is_inside(const char* path) {
  static const char removed[] = " (deleted)";
  const size_t n = strlen(path), m = sizeof removed - 1;
  return folder != NULL && strncmp(path, folder, strlen(folder)) == 0 &&
         (path[strlen(folder)] == '/' || path[strlen(folder)] == 0) &&
         !(n > m && strcmp(path + n - m, removed) == 0);
}

// ---- A call ------------------------------------------------------------------------------------

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static void cut_power(void) {
  atomic_store(&state->cut, 1);
  for (int i = 0; i < MOST_RANKS; ++i) {
    const int process = atomic_load(&state->processes[i]);
    if (process != 0 && i != rank) kill(process, SIGKILL);
  }
  die();
}

// From here to leave() no other rank or thread changes anything below the folder.
static int enter(const char* path) {
  if (!is_inside(path)) return 0;
  pthread_mutex_lock(&mutex);
  flock(journal, LOCK_EX);
  while (atomic_load(&state->cut)) pause();
  return 1;
}

static int is_fatal(const char* kind, const char* path) {
  const char* victim = getenv("JOURNAL_VICTIM");
  if (victim == NULL || victim[0] == 0) return 0;
  const int call = atomic_fetch_add(&state->calls, 1) + 1;
  const int matches =
      strcmp(kind, getenv("JOURNAL_KIND")) == 0 && fnmatch(getenv("JOURNAL_PATH"), path, 0) == 0;
  const int matching = atomic_fetch_add(&state->matching, matches) + matches;
  const int latest = atoi(getenv("JOURNAL_LATEST")), nth = atoi(getenv("JOURNAL_NTH"));
  return (matches && matching == nth && call <= latest) || (call == latest && matching < nth);
}

static void strike(void) {
  const char* victim = getenv("JOURNAL_VICTIM");
  if (strcmp(victim, "all") == 0) cut_power();
  if (atoi(victim) == rank) {
    dying = 1;
  } else {
    kill(atomic_load(&state->processes[atoi(victim)]), SIGKILL);
  }
}

static void record(const char* kind, long number, const char* path, const char* other,
                   const void* data, size_t bytes) {
  const int fatal = is_fatal(kind, path);
  char line[2 * PATH_MAX + 100];
  const int n = snprintf(line, sizeof line, "%c\t%s\t%ld\t%zu\t%s\t%s\n", fatal ? 'K' : 'B', kind,
                         number, bytes, path, other);
  const struct iovec parts[2] = {{line, (size_t)n}, {(void*)data, bytes}};
  if (NEXT(writev)(journal, parts, 2) != n + (ssize_t)bytes) abort();
  if (fatal) strike();
}

static double part(void) { return atof(getenv("JOURNAL_PART")); }

static long leave(long result) {
  const int error = errno;
  if (dying) die();
  char line[32];
  const int n = snprintf(line, sizeof line, "E\t%ld\n", result < 0 ? -(long)error : result);
  if (NEXT(write)(journal, line, (size_t)n) != n) abort();
  flock(journal, LOCK_UN);
  pthread_mutex_unlock(&mutex);
  errno = error;
  return result;
}

// What changes entries of a folder, or a size.
static void note(const char* kind, long number, const char* path, const char* other) {
  record(kind, number, path, other, NULL, 0);
  if (dying && part() < 0.5) die();
}

// How many of the bytes are to be written.
static size_t note_write(int file, const char* path, long offset, const void* data, size_t bytes) {
  record("write", offset, path, "", data, bytes);
  if (!dying) return bytes;
  fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~O_DIRECT);  // which takes whole blocks alone
  return (size_t)(part() * (double)bytes);
}

// ---- The calls ---------------------------------------------------------------------------------

static int note_opening(const char* path, int flags) {
  struct stat status;
  if (!(flags & (O_CREAT | O_TRUNC)) || !enter(path)) return 0;
  if (lstat(path, &status) != 0) {
    note("create", 0, path, "");
  } else if ((flags & O_TRUNC) && !(flags & O_EXCL) && status.st_size > 0) {
    note("size", 0, path, "");
  } else {
    flock(journal, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    return 0;
  }
  return 1;
}

#define OPEN(name)                                                         \
  int name(const char* path, int flags, ...) {                             \
    va_list more;                                                          \
    va_start(more, flags);                                                 \
    const mode_t mode = va_arg(more, mode_t);                              \
    va_end(more);                                                          \
    char full[PATH_MAX];                                                   \
    const int noted = note_opening(absolute(AT_FDCWD, path, full), flags); \
    const int file = NEXT(name)(path, flags, mode);                        \
    return noted ? (int)leave(file) : file;                                \
  }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                      \
  FILE* name(const char* path, const char* mode) {                                       \
    char full[PATH_MAX];                                                                 \
    const int flags = mode[0] == 'w' ? O_CREAT | O_TRUNC : mode[0] == 'a' ? O_CREAT : 0; \
    const int noted = note_opening(absolute(AT_FDCWD, path, full), flags);               \
    FILE* file = NEXT(name)(path, mode);                                                 \
    if (noted) leave(file == NULL ? -1 : 0);                                             \
    return file;                                                                         \
  }
FOPEN(fopen)
FOPEN(fopen64)

// Where write() goes on.
static long offset_of(int file) {
  struct stat status;
  if (fcntl(file, F_GETFL) & O_APPEND) return fstat(file, &status) == 0 ? status.st_size : 0;
  return lseek(file, 0, SEEK_CUR);
}

ssize_t write(int file, const void* data, size_t bytes) {
  char path[PATH_MAX];
  if (!enter(path_of(file, path))) return NEXT(write)(file, data, bytes);
  return leave(NEXT(write)(file, data, note_write(file, path, offset_of(file), data, bytes)));
}

ssize_t writev(int file, const struct iovec* parts, int count) {
  char path[PATH_MAX];
  if (!is_inside(path_of(file, path))) return NEXT(writev)(file, parts, count);
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  char* joined = malloc(bytes + 1);
  char* end = joined;
  for (int i = 0; i < count; ++i) end = mempcpy(end, parts[i].iov_base, parts[i].iov_len);
  const ssize_t n = write(file, joined, bytes);
  free(joined);
  return n;
}

#define PWRITE(name, offset_type)                                                      \
  ssize_t name(int file, const void* data, size_t bytes, offset_type at) {             \
    char path[PATH_MAX];                                                               \
    if (!enter(path_of(file, path))) return NEXT(name)(file, data, bytes, at);         \
    return leave(NEXT(name)(file, data, note_write(file, path, at, data, bytes), at)); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FILE(name, kind, number, parameters, arguments)        \
  int name parameters {                                           \
    char path[PATH_MAX];                                          \
    if (!enter(path_of(file, path))) return NEXT(name) arguments; \
    note(kind, number, path, "");                                 \
    return (int)leave(NEXT(name) arguments);                      \
  }
ON_FILE(ftruncate, "size", bytes, (int file, off_t bytes), (file, bytes))
ON_FILE(ftruncate64, "size", bytes, (int file, off64_t bytes), (file, bytes))
ON_FILE(fsync, "flush", 0, (int file), (file))
ON_FILE(fdatasync, "flush", 0, (int file), (file))

#define ON_PATH(name, kind, at, parameters, arguments)                 \
  int name parameters {                                                \
    char full[PATH_MAX];                                               \
    if (!enter(absolute(at, path, full))) return NEXT(name) arguments; \
    note(kind, 0, full, "");                                           \
    return (int)leave(NEXT(name) arguments);                           \
  }
ON_PATH(mkdir, "mkdir", AT_FDCWD, (const char* path, mode_t mode), (path, mode))
ON_PATH(unlink, "remove", AT_FDCWD, (const char* path), (path))
ON_PATH(rmdir, "remove", AT_FDCWD, (const char* path), (path))
ON_PATH(remove, "remove", AT_FDCWD, (const char* path), (path))
ON_PATH(unlinkat, "remove", at, (int at, const char* path, int flags), (at, path, flags))

int rename(const char* from, const char* to) {
  char full_from[PATH_MAX], full_to[PATH_MAX];
  if (!enter(absolute(AT_FDCWD, from, full_from))) return NEXT(rename)(from, to);
  note("rename", 0, full_from, absolute(AT_FDCWD, to, full_to));
  return (int)leave(NEXT(rename)(from, to));
}

// The program calls renameat2 so, for which older C libraries have no function.
long syscall(long number, ...) {
  long a[6];
  va_list more;
  va_start(more, number);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(more, long);
  va_end(more);
  char from[PATH_MAX], to[PATH_MAX];
  if (number != SYS_renameat2 || !enter(absolute((int)a[0], (const char*)a[1], from)))
    return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  note("rename", 0, from, absolute((int)a[2], (const char*)a[3], to));
  return leave(NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}
