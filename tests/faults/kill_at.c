/* Runs a command and kills it at a chosen system call: before the kernel does it, or right after.

       kill_at rename|open PATTERN ORDER NOTE COMMAND...

   A rename counts, or the making of a file, when its first path contains PATTERN. As soon as the file ORDER says
   "N before" or "N after", calls are counted from 1, and at the Nth the process gets SIGKILL, all of it. Every counted
   call is a line in NOTE, and the last one says "killed".

   The kernel itself asks (seccomp's user notification), so that it matters neither how the program was linked nor in
   which of its threads the call is made. The asker is a child of the command: signals and waits reach the command. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* of a long field the low half, as machines with the low end first have it */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(test, what, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, (what), (yes), (no))
#define SKIP(count) BPF_STMT(BPF_JMP | BPF_JA, (count))
#define ASK BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define PROGRAM(filter) ((struct sock_fprog){sizeof(filter) / sizeof(filter)[0], (filter)})

/* Only files that are made are asked about: a start opens thousands, and each question costs a switch of processes. */
#ifdef SYS_rename
static struct sock_filter renames[] = {
    LOAD(nr),
    IF(BPF_JEQ, SYS_rename, 2, 0),
    IF(BPF_JEQ, SYS_renameat, 1, 0),
    IF(BPF_JEQ, SYS_renameat2, 0, 1), ASK, ALLOW};
static struct sock_filter opens[] = {
    LOAD(nr),
    IF(BPF_JEQ, SYS_open, 0, 2), LOAD(args[1]), SKIP(2),
    IF(BPF_JEQ, SYS_openat, 0, 3), LOAD(args[2]),
    IF(BPF_JSET, O_CREAT, 0, 1), ASK, ALLOW};
#define PLAIN(number) ((number) == SYS_rename || (number) == SYS_open)
#else /* newer architectures have the *at forms only */
static struct sock_filter renames[] = {
    LOAD(nr), IF(BPF_JEQ, SYS_renameat, 1, 0), IF(BPF_JEQ, SYS_renameat2, 0, 1), ASK, ALLOW};
static struct sock_filter opens[] = {
    LOAD(nr), IF(BPF_JEQ, SYS_openat, 0, 3), LOAD(args[2]), IF(BPF_JSET, O_CREAT, 0, 1), ASK, ALLOW};
#define PLAIN(number) 0
#endif

static void fail(const char *what) {
    fprintf(stderr, "kill_at: %s: %s\n", what, strerror(errno));
    exit(125);
}

/* A path of the process that asks; empty when it cannot be read. Never reads past the page that it ends in. */
static void read_path(pid_t pid, unsigned long long from, char *path) {
    size_t length = 0, page = 4096;
    while (length < PATH_MAX - 1) {
        size_t size = page - (from + length) % page;
        if (size > PATH_MAX - 1 - length) size = PATH_MAX - 1 - length;
        struct iovec here = {path + length, size}, there = {(void *)(from + length), size};
        ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (got <= 0) break;
        if (memchr(path + length, 0, (size_t)got)) return;
        length += (size_t)got;
    }
    path[length] = 0;
}

/* Do the rename in the process's place, in the folder that it works in. */
static void do_rename(pid_t pid, const char *from, const char *to) {
    char folder[64];
    snprintf(folder, sizeof folder, "/proc/%d/cwd", pid);
    if (chdir(folder) || rename(from, to)) fail("rename");
}

/* Which call to kill at, 0 for none, and whether it is to be done first. */
static long read_order(const char *path, int *after) {
    long number = 0;
    char moment[8] = "";
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    if (fscanf(file, "%ld %7s", &number, moment) != 2) number = 0;
    fclose(file);
    *after = !strcmp(moment, "after");
    return number;
}

static void watch(int listener, pid_t victim, int note, char **words) {
    int renaming = !strcmp(words[1], "rename"), after = 0;
    const char *pattern = words[2], *order = words[3];
    long found = 0;
    for (;;) {
        struct pollfd waiting = {.fd = listener, .events = POLLIN};
        poll(&waiting, 1, -1);
        if (waiting.revents & POLLHUP) exit(0); /* nobody is left who could ask */
        struct seccomp_notif asked = {0};
        if (!(waiting.revents & POLLIN) || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) continue;
        int plain = PLAIN(asked.data.nr);
        char from[PATH_MAX] = "", to[PATH_MAX] = "";
        read_path((pid_t)asked.pid, asked.data.args[plain ? 0 : 1], from);
        if (renaming) read_path((pid_t)asked.pid, asked.data.args[plain ? 1 : 3], to);
        long wanted = strstr(from, pattern) ? read_order(order, &after) : 0;
        if (wanted) {
            dprintf(note, "%ld %s %s\n", ++found, from, to);
            if (found == wanted) {
                if (after) do_rename((pid_t)asked.pid, from, to);
                dprintf(note, "killed\n");
                kill(victim, SIGKILL);
                exit(0);
            }
        }
        struct seccomp_notif_resp answer = {.id = asked.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* fails when the one who asked is gone: no matter */
    }
}

int main(int count, char **words) {
    if (count < 6) {
        fprintf(stderr, "usage: kill_at rename|open PATTERN ORDER NOTE COMMAND...\n");
        return 125;
    }
    struct sock_fprog program = !strcmp(words[1], "rename") ? PROGRAM(renames) : PROGRAM(opens);
    pid_t victim = getpid();
    int note = open(words[4], O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644), told[2], listener;
    if (note < 0 || pipe2(told, O_CLOEXEC)) fail(words[4]);
    /* Made before the filter, which would bind it too; it shares our open files until we become the command. */
    long watcher = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (watcher < 0) fail("clone");
    if (!watcher) {
        if (read(told[0], &listener, sizeof listener) != sizeof listener) exit(125);
        watch(listener, victim, note, words);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("prctl");
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) fail("seccomp");
    if (write(told[1], &listener, sizeof listener) != sizeof listener) fail("pipe");
    execvp(words[5], words + 5);
    fail(words[5]);
}
