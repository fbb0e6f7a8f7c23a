// SPDX-License-Identifier: Apache-2.0
// Unix sockets by which one process gives another an open file. Each returns -1 with errno on failure.
#ifndef VARVE_CPLATFORM_LOCAL_H
#define VARVE_CPLATFORM_LOCAL_H

#include <stdint.h>

// Listens at `path`, for the user of this process only; what was there before is removed.
int varve_local_listen(const char *path);

// The next connection of a listening socket, by a process of the same user or of root; it waits at most `milliseconds` for what
// it sends and receives. EPERM: another user's, which was closed.
int varve_local_accept(int listener, int milliseconds);

// Connects to `path`, likewise.
int varve_local_connect(const char *path, int milliseconds);

// Sends, or receives, exactly `byteCount` bytes.
int varve_local_send(int socket, const void *bytes, int byteCount);
int varve_local_receive(int socket, void *bytes, int byteCount);

// Sends one byte, and with it an open file unless `descriptor` is -1.
int varve_local_send_file(int socket, uint8_t byte, int descriptor);

// Receives one byte, and the file that came with it; -1 in `descriptor` when none did.
int varve_local_receive_file(int socket, uint8_t *byte, int *descriptor);

#endif
