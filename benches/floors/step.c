/* The floor under a RUN step: clone into new namespaces, mount an overlay and /proc, make it
 * the root, exec a program, wait for it. What no builder can do without, and nothing else.
 *
 *   step LOWER WORKSPACE COUNT PROGRAM
 *
 * runs PROGRAM COUNT times over LOWER and prints the wall time of one run in microseconds. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char options[8192], merged[2048], proc[2100];
static char *program[2];
static char stack[1 << 20];

static int die(const char *what) {
    perror(what);
    _exit(125);
}

static int child(void *unused) {
    (void)unused;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("private");
    if (mount("overlay", merged, "overlay", 0, options)) die("overlay");
    if (mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) die("proc");
    if (chdir(merged)) die("chdir");
    if (syscall(SYS_pivot_root, ".", ".")) die("pivot_root");
    if (umount2(".", MNT_DETACH)) die("umount");
    if (chdir("/")) die("chdir /");
    execv(program[0], program);
    return die("exec");
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int count = atoi(argv[3]);
    program[0] = argv[4];
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < count; i++) {
        char upper[2048], work[2048];
        snprintf(upper, sizeof upper, "%s/upper%d", argv[2], i);
        snprintf(work, sizeof work, "%s/work%d", argv[2], i);
        snprintf(merged, sizeof merged, "%s/merged", argv[2]);
        snprintf(proc, sizeof proc, "%s/proc", merged);
        mkdir(upper, 0755), mkdir(work, 0755), mkdir(merged, 0755);
        snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", argv[1], upper, work);
        int flags = CLONE_VM | CLONE_VFORK | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                    CLONE_NEWNET | CLONE_NEWCGROUP | SIGCHLD;
        pid_t pid = clone(child, stack + sizeof stack, flags, NULL);
        if (pid < 0) die("clone");
        int status;
        waitpid(pid, &status, 0);
        if (status) {
            fprintf(stderr, "step: the program ended with status %d\n", status);
            return 1;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%ld\n", ((end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec) / 1000 / count);
    return 0;
}
