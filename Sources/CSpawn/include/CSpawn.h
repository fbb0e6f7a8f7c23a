// SPDX-License-Identifier: Apache-2.0
// Starting a child process the way a supervisor needs it: what must happen between fork and exec, in C.
#ifndef VARVE_CSPAWN_H
#define VARVE_CSPAWN_H

#include <stddef.h>
#include <sys/types.h>

// All strings and arrays are made by the caller before the call; nothing is kept after it.
typedef struct varve_spawn_request {
    const char *executable;        // a path; PATH is not searched
    char *const *arguments;        // ends with NULL; the first is the name the child sees
    char *const *environment;      // ends with NULL
    const char *working_directory; // NULL: ours
    int output;                    // becomes standard output and standard error
    int parent_death_signal;       // sent to the child when the thread that called this ends; 0: none
    int changes_user;              // 1: take on the three below
    uid_t user;
    gid_t group;
    const gid_t *groups;
    size_t group_count;
} varve_spawn_request;

// Forks and executes. The child leads a session of its own, reads /dev/null, has default signal handling and no other
// open files. Returns 0 and the child's id, or the errno of the first step that failed, in the child too.
//
// The parent death signal is bound to the calling *thread*: call from one that lives as long as the child should.
int varve_spawn(const varve_spawn_request *request, pid_t *child);

// A descriptor that becomes readable when the process ends, or -1 where the kernel has none (before 5.3).
int varve_pidfd_open(pid_t process);

// A descriptor to wake a poll with, closed at exec, never blocking; -1 and errno when there is none.
int varve_eventfd(void);

#endif
