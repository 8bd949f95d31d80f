// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/cpu_list.hpp"

#include <catch2/catch.hpp>

using namespace pns;

TEST_CASE("cpu list: a list of CPUs as the kernel writes it", "[base]") {
  using Cpus = std::vector<unsigned>;
  CHECK(parse_cpu_list("0") == Cpus{0});
  CHECK(parse_cpu_list("0-3") == Cpus{0, 1, 2, 3});
  CHECK(parse_cpu_list("0-1,4,6-7") == Cpus{0, 1, 4, 6, 7});
  for (const char* wrong : {"", "x", "3-", "3-1", "1;2", "-1", "0-99999999"}) {
    INFO(wrong);
    CHECK(parse_cpu_list(wrong).empty());
  }
}
