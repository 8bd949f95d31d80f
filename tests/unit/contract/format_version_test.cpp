// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/format_version.hpp"

#include <catch2/catch.hpp>

#include "pns/contract/build_contract.hpp"

using namespace pns::contract;

namespace {

struct Row {
  FormatVersion one, other;
  bool fits;
};

}  // namespace

TEST_CASE("format version: both sides must know what the other expects", "[contract]") {
  const Row rows[] = {{{5, 5}, {5, 5}, true},    // the same build
                      {{5, 5}, {6, 5}, true},    // something was added
                      {{5, 5}, {9, 5}, true},    // often
                      {{5, 5}, {6, 6}, false},   // something was changed
                      {{5, 3}, {4, 4}, true},    // goes back further than the other
                      {{5, 4}, {3, 3}, false},   // not far enough
                      {{7, 5}, {6, 6}, true},    // each goes on with the other
                      {{7, 7}, {6, 5}, false},   // one does not
                      {{0, 0}, {5, 5}, false}};  // nothing was written
  for (const auto& [one, other, fits] : rows) {
    CAPTURE(one.version, one.min_compatible, other.version, other.min_compatible);
    CHECK(fit(one, other) == fits);
    CHECK(fit(other, one) == fits);
  }
}

TEST_CASE("format version: who fits what two have written fits each of them", "[contract]") {
  constexpr std::uint32_t kMost = 5;
  std::size_t strict = 0;
  const auto all = [](auto&& visit) {
    for (std::uint32_t version = 1; version <= kMost; ++version)
      for (std::uint32_t from = 1; from <= version; ++from) visit(FormatVersion{version, from});
  };
  all([&](FormatVersion one) {
    all([&](FormatVersion other) {
      all([&](FormatVersion next) {
        const bool both = fit(next, one) && fit(next, other);
        REQUIRE(fit(next, together(one, other)) == both);
        strict += fit(next, one) != both;
      });
    });
  });
  CHECK(strict > 0);
}

TEST_CASE("build contract: every format goes on with itself, and is printed", "[contract]") {
  const std::string text = to_json(build_contract(), "pns");
  for (const auto& [name, version] : build_contract().formats) {
    CAPTURE(name);
    CHECK(fit(version, version));
    CHECK(version.min_compatible > 0);
    const std::string key = '"' + std::string(name);
    CHECK(text.find(key + "_version\":" + std::to_string(version.version)) != text.npos);
    CHECK(text.find(key + "_min_compatible\":" + std::to_string(version.min_compatible)) !=
          text.npos);
  }
}
