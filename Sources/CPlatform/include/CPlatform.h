// SPDX-License-Identifier: Apache-2.0
// What Swift's Glibc overlay cannot express: macros, variadic calls, and Linux-only constants.
#ifndef VARVE_CPLATFORM_H
#define VARVE_CPLATFORM_H

#include <stdint.h>

#include "CPlatformDisk.h"
#include "CPlatformLocal.h"

// Option number of TCP_QUICKACK (IPPROTO_TCP), which the Glibc overlay does not import.
int varve_tcp_quickack(void);

// Option number of TCP_NODELAY (IPPROTO_TCP).
int varve_tcp_nodelay(void);

// Lets malloc keep up to `byteCount` free bytes at the end of each of its heaps, and buffers below 32 MiB in them.
void varve_keep_freed_memory(int byteCount);

#endif
