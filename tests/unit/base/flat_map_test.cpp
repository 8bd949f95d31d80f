// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/flat_map.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>

using namespace pns;

TEST_CASE("flat map: it is a map", "[base]") {
  FlatMap<int, int> map;
  std::map<int, int> expected;
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    const int key = static_cast<int>(random() % 64);
    if (random() % 3 == 0) {
      map.erase(key);
      expected.erase(key);
    } else {
      map.set(key, i);
      expected[key] = i;
    }
    REQUIRE(map.size() == expected.size());
    REQUIRE(std::ranges::equal(map, expected, [](const auto& a, const auto& b) {
      return a.first == b.first && a.second == b.second;
    }));
    const auto found = expected.find(key);
    REQUIRE(map.find(key) ==
            (found == expected.end() ? std::nullopt : std::optional(found->second)));
  }
  while (!map.empty()) {
    CHECK(map.back().first == std::prev(expected.end())->first);
    expected.erase(map.back().first);
    map.erase(map.back().first);
  }
  CHECK(expected.empty());
}
