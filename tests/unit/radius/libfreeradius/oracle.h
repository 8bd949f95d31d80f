// SPDX-License-Identifier: BSD-3-Clause
//
// FreeRADIUS's decoder, for comparison: what of libfreeradius a test asks, without its headers,
// which are not C++. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Reads the dictionaries. False: they are not there.
bool oracle_start(const char* dictionaries);

// Whether these octets are a RADIUS packet.
bool oracle_accepts(const uint8_t* data, size_t size);

// Whether a request of this code and vector may have this answer, or, with `code` 0, whether the
// packet is a request that is signed.
bool oracle_verifies(const uint8_t* data, size_t size, unsigned code, const uint8_t* vector,
                     const char* secret);

// Why the last call said no.
const char* oracle_error(void);

// Each attribute that the dictionaries know, in order, its value as on the wire: addresses and
// numbers in network byte order, prefixes with all 16 octets, keys revealed, tags apart.
typedef void oracle_visit(void* context, unsigned vendor, unsigned number, unsigned tag,
                          const uint8_t* value, size_t size);
void oracle_decode(const uint8_t* data, size_t size, const uint8_t* vector, const char* secret,
                   oracle_visit* visit, void* context);

#ifdef __cplusplus
}
#endif
