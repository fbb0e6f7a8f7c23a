// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_CCharLS_SHIM_H
#define VARVE_CCharLS_SHIM_H
#include <charls/charls.h>
#endif
