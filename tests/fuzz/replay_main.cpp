// SPDX-License-Identifier: BSD-3-Clause
//
// Stands in for libFuzzer under g++: replays every file of the named folders, and for each so many
// mutations of it, the same ones every time. "--mutations N" sets how many; "--seed N" begins
// elsewhere.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.hpp"

namespace {

using Octets = std::vector<std::uint8_t>;

// One to eight small changes, of the kinds that have broken parsers before.
void mutate(Octets& input, const Octets& other, std::mt19937& random) {
  const auto below = [&random](std::size_t bound) {
    return bound == 0 ? 0 : static_cast<std::size_t>(random()) % bound;
  };
  constexpr std::uint8_t kTelling[] = {0, 1, 2, 3, 4, 7, 8, 0x7f, 0x80, 0xfe, 0xff};
  for (std::size_t changes = 1 + below(8); changes > 0; --changes) {
    const std::size_t at = below(input.size());
    const auto position = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(7)) {
      case 0:
        if (!input.empty()) input[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        if (!input.empty()) input[at] = kTelling[below(std::size(kTelling))];
        break;
      case 2:
        if (!input.empty()) input[at] = static_cast<std::uint8_t>(random());
        break;
      case 3:
        input.insert(position, static_cast<std::uint8_t>(random()));
        break;
      case 4:
        if (!input.empty()) input.erase(position);
        break;
      case 5:  // cut
        if (!input.empty() && below(4) == 0) input.resize(at);
        break;
      case 6:  // splice
        if (!other.empty()) {
          const std::size_t from = below(other.size());
          const std::size_t count = below(other.size() - from);
          input.insert(position, other.begin() + static_cast<std::ptrdiff_t>(from),
                       other.begin() + static_cast<std::ptrdiff_t>(from + count));
        }
        break;
      default:
        break;
    }
  }
  if (input.size() > 65536) input.resize(65536);
}

Octets read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t mutations = 0;
  std::uint32_t seed = 1;
  std::vector<Octets> corpus;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--mutations") == 0 && i + 1 < argc) {
      mutations = std::strtoul(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
      seed = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (std::filesystem::is_directory(argv[i])) {
      std::vector<std::filesystem::path> files;
      for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
        files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      for (const auto& file : files) corpus.push_back(read(file));
    } else {
      corpus.push_back(read(argv[i]));
    }
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "no corpus\n");
    return 1;
  }
  for (const Octets& input : corpus) LLVMFuzzerTestOneInput(input.data(), input.size());

  std::mt19937 random(seed);
  for (std::size_t i = 0; i < mutations * corpus.size(); ++i) {
    Octets input = corpus[i % corpus.size()];
    mutate(input, corpus[random() % corpus.size()], random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%zu inputs, %zu mutations\n", corpus.size(), mutations * corpus.size());
  return 0;
}
