// SPDX-License-Identifier: BSD-3-Clause
//
// Stands in for Catch2 where a fuzz target uses tests/pipeline/world.cpp, for that target only:
// what a test would report ends the target.
#pragma once

#include "tests/fuzz/fuzz.hpp"

#define REQUIRE(...) PNS_CLAIM((__VA_ARGS__))
#define CHECK(...) PNS_CLAIM((__VA_ARGS__))
