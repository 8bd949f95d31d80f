// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start/mppe_start.hpp"

#include <fmt/format.h>
#include <rte_cycles.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>

#include "dataplane/mppe/mppe_engine.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

static_assert(contract::MppeKernelInfo::kStreams == kMaxRc4Lanes);

constexpr unsigned kBytesBit = 1;
constexpr unsigned kWordsBit = 2;

// The forms that have functions for `n` + 1 streams; 0: none has.
unsigned forms_of(const MppeChoice& choice, unsigned n) noexcept {
  if (n >= choice.kernels.lanes) return 0;
  unsigned forms = 0;
  const auto add = [&forms, n](unsigned words) noexcept {
    forms |= (words >> n & 1) != 0 ? kWordsBit : kBytesBit;
  };
  add(choice.set_keys_words);
  add(choice.change_keys_words);
  add(choice.generate_few_words);
  add(choice.generate_words);
  if (n < choice.kernels.running_lanes) add(choice.go_on_words);
  return forms;
}

MppeVariant variant_of(config::MppeVariant wanted) noexcept {
  switch (wanted) {
    case config::MppeVariant::kPortable:
      return MppeVariant::kPortable;
    case config::MppeVariant::kAvx2:
      return MppeVariant::kAvx2;
    case config::MppeVariant::kAvx512:
      return MppeVariant::kAvx512;
    case config::MppeVariant::kAuto:
      break;
  }
  return best_variant();
}

std::uint16_t hundredths(float cycles) noexcept {
  return static_cast<std::uint16_t>(std::clamp(std::lround(cycles * 100), 0L, 65535L));
}

std::string steps(const MppeChoice& choice, const std::array<float, kMaxRc4Lanes>& cycles) {
  std::string text;
  for (unsigned n = 0; n < choice.kernels.lanes; ++n)
    text += fmt::format("{}{:.2f}", n == 0 ? "" : ",", cycles[n]);
  return text;
}

}  // namespace

std::string mppe_objection(const config::Dataplane& wanted) {
  const MppeVariant variant = variant_of(wanted.mppe_variant);
  if (has_variant(variant)) return {};
  return fmt::format("dataplane.mppe_variant: this CPU cannot run {}; it can run {}",
                     name_of(variant), name_of(best_variant()));
}

std::expected<MppeChoice, std::string> choose_mppe(const config::Dataplane& wanted) {
  if (std::string why = mppe_objection(wanted); !why.empty())
    return std::unexpected(std::move(why));
  const MppeVariant variant = variant_of(wanted.mppe_variant);
  if (wanted.mppe_rc4 == config::MppeRc4::kAuto) return measured_choice(variant);
  return forced_choice(
      variant, wanted.mppe_rc4 == config::MppeRc4::kBytes ? Rc4Form::kBytes : Rc4Form::kWords);
}

void publish(const MppeChoice& choice, contract::MppeKernelInfo& info) noexcept {
  using Variant = contract::MppeKernelInfo::Variant;
  for (unsigned n = 0; n < kMaxRc4Lanes; ++n) {
    info.forms[n].store(static_cast<std::uint8_t>(forms_of(choice, n)), std::memory_order_relaxed);
    info.bytes_step[n].store(hundredths(choice.bytes_step[n]), std::memory_order_relaxed);
    info.words_step[n].store(hundredths(choice.words_step[n]), std::memory_order_relaxed);
  }
  info.measured.store(choice.measured, std::memory_order_relaxed);
  info.variant.store(choice.variant == MppeVariant::kPortable ? Variant::kPortable
                     : choice.variant == MppeVariant::kAvx2   ? Variant::kAvx2
                                                              : Variant::kAvx512,
                     std::memory_order_relaxed);
}

std::uint32_t measure_key_change_ns(const MppeKernels& kernels) {
  constexpr unsigned kRuns = 8;
  constexpr std::uint32_t kSteps = 32;
  const auto engine = std::make_unique<MppeEngine>(kernels);
  std::array<std::byte, 16> start{}, key{};
  std::uint64_t least = UINT64_MAX;
  for (unsigned run = 0; run < kRuns; ++run) {
    const std::uint64_t before = rte_rdtsc();
    engine->change_keys(start, key, 128, kSteps);
    least = std::min(least, rte_rdtsc() - before);
  }
  const double cycles = static_cast<double>(least) / kSteps;
  return static_cast<std::uint32_t>(cycles * 1e9 / static_cast<double>(rte_get_tsc_hz()) + 1);
}

void log_choice(const MppeChoice& choice) {
  constexpr std::string_view kForms[] = {"", "bytes", "words", "both"};
  std::string forms;
  for (unsigned n = 0; n < choice.kernels.lanes; ++n)
    forms += fmt::format("{}{}", n == 0 ? "" : ",", kForms[forms_of(choice, n)]);
  log::info("mppe kernels", {{"variant", name_of(choice.variant)},
                             {"choice", choice.measured ? "measured" : "forced"},
                             {"rc4", forms},
                             {"bytes_step", steps(choice, choice.bytes_step)},
                             {"words_step", steps(choice, choice.words_step)},
                             {"streams", choice.kernels.lanes},
                             {"lone_set_up_streams", choice.kernels.fewest_lanes},
                             {"scalar_octets", choice.kernels.few_octets}});
}

}  // namespace pns::dataplane
