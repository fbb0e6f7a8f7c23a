// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_COpenJPEG_SHIM_H
#define VARVE_COpenJPEG_SHIM_H
#include <openjpeg.h>
#endif
