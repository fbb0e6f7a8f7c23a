// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Between fork and exec only async-signal-safe calls are allowed: other threads may have held any lock. The raw system
// calls for ids avoid glibc's versions, which would signal threads that no longer exist.
static int become(const varve_spawn_request *request) {
    if (syscall(SYS_setgroups, request->group_count, request->groups) != 0) return errno;
    if (syscall(SYS_setresgid, request->group, request->group, request->group) != 0) return errno;
    if (syscall(SYS_setresuid, request->user, request->user, request->user) != 0) return errno;
    return 0;
}

static int prepare(const varve_spawn_request *request, pid_t parent) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0) return errno;
    if (setsid() < 0) return errno;
    int null = open("/dev/null", O_RDONLY);
    if (null < 0) return errno;
    if (dup2(null, 0) < 0 || dup2(request->output, 1) < 0 || dup2(request->output, 2) < 0) return errno;
    if (request->working_directory && chdir(request->working_directory) != 0) return errno;
    if (request->changes_user) {
        int error = become(request);
        if (error != 0) return error;
    }
    // After the change of user, which clears it; then look whether the parent died before it was set.
    if (request->parent_death_signal != 0) {
        if (prctl(PR_SET_PDEATHSIG, request->parent_death_signal) != 0) return errno;
        if (getppid() != parent) _exit(127);
    }
    return 0;
}

int varve_spawn(const varve_spawn_request *request, pid_t *child) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return errno;
    // No signal may reach the child while it still has our handlers.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t process = fork();
    if (process == 0) {
        int error = prepare(request, parent);
        if (error == 0) {
            // Everything but the standard streams closes at exec, whoever opened it.
            if (syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0) {
                for (int file = 3; file < 1024; file++) fcntl(file, F_SETFD, FD_CLOEXEC);
            }
            execve(request->executable, request->arguments, request->environment);
            error = errno;
        }
        ssize_t ignored = write(report[1], &error, sizeof error);
        (void)ignored;
        _exit(127);
    }
    int error = process < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (process > 0) {
        int childError = 0;
        ssize_t count;
        do count = read(report[0], &childError, sizeof childError);
        while (count < 0 && errno == EINTR);
        if (count == (ssize_t)sizeof childError) {
            error = childError;
            while (waitpid(process, NULL, 0) < 0 && errno == EINTR) {}
        } else {
            *child = process;
        }
    }
    close(report[0]);
    return error;
}

int varve_pidfd_open(pid_t process) {
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, process, 0u);
#else
    errno = ENOSYS;
    return -1;
#endif
}

int varve_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
