// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_CZlib_SHIM_H
#define VARVE_CZlib_SHIM_H
#include <zlib.h>
#endif
