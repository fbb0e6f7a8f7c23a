// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_CJPEGTurbo_SHIM_H
#define VARVE_CJPEGTurbo_SHIM_H
// jpeglib.h uses FILE and size_t without including their headers.
#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>
#endif
