// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/frame_state.hpp"

#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "tests/bench/timing.hpp"

namespace pns::bench {
namespace {

constexpr std::size_t kLine = RTE_CACHE_LINE_SIZE;

template <void (*flush)(const void*)>
void flush_frames(std::span<rte_mbuf* const> packets) {
  for (const rte_mbuf* packet : packets) {
    const auto* at = rte_pktmbuf_mtod(packet, const char*);
    const char* const end = at + rte_pktmbuf_data_len(packet);
    at -= reinterpret_cast<std::uintptr_t>(at) % kLine;
    for (; at < end; at += kLine) flush(at);
  }
}

// clflush waits for the flush before it; clflushopt does not.
void flush_slowly(const void* line) { _mm_clflush(line); }
[[gnu::target("clflushopt")]] void flush_quickly(const void* line) {
  _mm_clflushopt(const_cast<void*>(line));
}

void flush(std::span<rte_mbuf* const> packets) {
  if (__builtin_cpu_supports("clflushopt"))
    flush_frames<flush_quickly>(packets);
  else
    flush_frames<flush_slowly>(packets);
  _mm_mfence();
}

std::size_t second_level_octets() {
  constexpr long kUnknown = 2L << 20;
  const long octets = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
  return static_cast<std::size_t>(octets > 0 ? octets : kUnknown);
}

double median_of(std::vector<double>& samples) {
  std::ranges::sort(samples);
  return samples[samples.size() / 2];
}

}  // namespace

std::string_view name_of(FrameState state) noexcept {
  switch (state) {
    case FrameState::kMemory:
      return "memory";
    case FrameState::kLlc:
      return "llc";
    default:
      return "written";
  }
}

std::string_view words_of(FrameState state) noexcept {
  switch (state) {
    case FrameState::kMemory:
      return "memory";
    case FrameState::kLlc:
      return "the last-level cache";
    default:
      return "the caches of the thread that wrote them";
  }
}

FrameState frame_state_of(std::string_view name) {
  const auto* const found = std::ranges::find(kFrameStates, name, name_of);
  if (found == kFrameStates.end())
    throw std::invalid_argument("no state of frames: " + std::string(name));
  return *found;
}

Cooler::Cooler() : sweep_(4 * second_level_octets() / sizeof(std::uint64_t), 1) {}

void Cooler::cool(std::span<rte_mbuf* const> packets, FrameState state) {
  if (state == FrameState::kWritten) return;
  if (state == FrameState::kMemory) flush(packets);
  // A cache gives up the lines that it has not used for longest.
  const std::uint64_t sum = std::accumulate(sweep_.begin(), sweep_.end(), std::uint64_t{0});
  asm volatile("" : : "r"(sum));
}

LineCost cost_of_line(std::span<rte_mbuf* const> packets) {
  constexpr std::size_t kAtOnce = 32;
  std::vector<double> alone;
  std::vector<double> together;
  const auto load = [](const volatile char* line) { (void)*line; };
  for (std::size_t n = 0; n + 2 * kAtOnce <= packets.size(); n += 2 * kAtOnce) {
    std::array<const volatile char*, kAtOnce> lines{};
    const auto take = [&](std::size_t from) {
      for (std::size_t i = 0; i < kAtOnce; ++i)
        lines[i] = rte_pktmbuf_mtod(packets[from + i], const volatile char*);
    };
    const auto load_all = [&] {
      for (const volatile char* line : lines) load(line);
    };
    take(n);
    // The second time they are in the first-level cache: what is left is the cost of measuring.
    const auto cold = static_cast<double>(cycles_of(load_all));
    const auto warm = static_cast<double>(cycles_of(load_all));
    together.push_back(std::max(0.0, cold - warm) / kAtOnce);
    take(n + kAtOnce);
    for (const volatile char* line : lines) {
      const auto first = static_cast<double>(cycles_of([&] { load(line); }));
      const auto second = static_cast<double>(cycles_of([&] { load(line); }));
      alone.push_back(std::max(0.0, first - second));
    }
  }
  return {median_of(alone), median_of(together)};
}

}  // namespace pns::bench
