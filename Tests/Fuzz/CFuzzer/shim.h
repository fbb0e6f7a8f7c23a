// SPDX-License-Identifier: Apache-2.0
// libFuzzer as a library: its documented entry for programs with a main of their own.
#ifndef VARVE_CFUZZER_H
#define VARVE_CFUZZER_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));

#endif
