// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/memory_watch.hpp"

#include <vector>

#include "tests/unit/control_runtime/loop.hpp"

using namespace pns::control;

namespace {

// The events of a watch with this limit while it measures these values, one at each look.
std::vector<bool> changes(std::uint64_t limit, const std::vector<std::uint64_t>& measured) {
  std::vector<bool> out;
  asio::io_context loop{1};
  std::size_t at = 0;
  MemoryWatch watch(loop, limit,
                    {.measured = [&](std::uint64_t octets) { CHECK(octets == measured[at]); },
                     .changed = [&](bool over) { out.push_back(over); }},
                    [&] { return measured[at]; });
  for (; at < measured.size(); ++at) watch.start();
  return out;
}

}  // namespace

TEST_CASE("memory watch: over the limit until below 95 percent of it", "[runtime]") {
  CHECK(changes(1000, {0, 1000}).empty());
  CHECK(changes(1000, {1001, 1000, 951, 950, 1000}) == std::vector{true, false});
  CHECK(changes(1000, {1001, 900, 1001}) == std::vector{true, false, true});
  CHECK(changes(0, {1, ~std::uint64_t{0}}).empty());
}

TEST_CASE("memory watch: memory that cannot be given back is asked for less and less often",
          "[runtime]") {
  asio::io_context loop{1};
  std::uint64_t octets = 1'000'000;
  std::uint64_t given_back = 0;
  std::uint64_t shown = 0;
  int trims = 0;
  MemoryWatch watch(
      loop, 1'000'000,
      {.measured = [&](std::uint64_t now) { shown = now; }, .changed = [](bool) {}},
      [&] { return octets; },
      [&] {
        ++trims;
        octets -= given_back;
      });
  const auto trims_in = [&](int seconds) {
    const int before = trims;
    for (int i = 0; i < seconds; ++i) watch.start();
    return trims - before;
  };
  CHECK(trims_in(1) == 1);
  CHECK(trims_in(2 + 4 + 8) == 3);
  CHECK(trims_in(16 + 32 + 64 + 128) == 4);
  CHECK(trims_in(1024) == 4);  // and never less often than that

  // It gives something back, but not enough: again in a second.
  given_back = 10'000;
  CHECK(trims_in(300) == 5);
  CHECK(octets == 950'000);
  CHECK(shown == octets);

  // Below that there is nothing to do, and the next time begins anew.
  CHECK(trims_in(100) == 0);
  given_back = 0;
  octets = 1'000'000;
  CHECK(trims_in(1) == 1);
  CHECK(trims_in(2) == 1);
}

TEST_CASE("memory watch: what this process takes is measured", "[runtime]") {
  const std::uint64_t before = private_memory();
  REQUIRE(before > 0);
  std::vector<char> more(std::size_t{64} << 20, 'x');
  CHECK(private_memory() >= before + (std::uint64_t{60} << 20));
  CHECK(more[1] == 'x');
}
