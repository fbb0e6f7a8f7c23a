// SPDX-License-Identifier: Apache-2.0
// libjpeg behind a function that returns: the library reports errors by longjmp, which must never cross a Swift frame.
#ifndef VARVE_CJPEGSHIM_H
#define VARVE_CJPEGSHIM_H

#include <stddef.h>
#include <stdint.h>

enum {
    // Samples as the stream holds them, whatever they mean.
    VARVE_JPEG_AS_STORED = 0,
    // The stream holds YCbCr of three components; samples come out as RGB.
    VARVE_JPEG_YCBCR_TO_RGB = 1,
};

enum {
    VARVE_JPEG_SUCCESS = 0,
    VARVE_JPEG_CORRUPT = 1,
    VARVE_JPEG_NO_MEMORY = 2,
    // The library read other dimensions or components than the caller did.
    VARVE_JPEG_DISAGREES = 3,
    // The coefficients of several scans pass `maximum_memory` bytes.
    VARVE_JPEG_TOO_LARGE = 4,
};

// Decodes a JPEG stream of 8-bit samples into rows * columns * components bytes, colour by pixel.
//
// The caller has walked the stream and knows what it holds; `bytes` end with or before EOI. Where coded data run out
// or are damaged the result is VARVE_JPEG_CORRUPT, although the library would fill in grey. `message` takes the
// library's text, `message_byte_count` is its room. Never longjmps out, never writes to stderr.
int varve_jpeg_decode(const uint8_t *bytes, size_t byte_count, uint32_t rows, uint32_t columns, int components,
                      int colour, long maximum_memory, uint8_t *destination, char *message,
                      size_t message_byte_count);

// Encodes rows * columns * components bytes (grey or, by pixel, RGB) as baseline JPEG; `quality` is 1 to 100.
//
// On success `bytes` is to be given to varve_jpeg_free. Never longjmps out, never writes to stderr.
int varve_jpeg_encode(const uint8_t *samples, uint32_t rows, uint32_t columns, int components, int quality,
                      uint8_t **bytes, size_t *byte_count);

void varve_jpeg_free(uint8_t *bytes);

#endif
