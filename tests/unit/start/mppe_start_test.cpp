// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start/mppe_start.hpp"

#include <catch2/catch.hpp>
#include <memory>

using namespace pns;
using namespace pns::dataplane;
using contract::MppeKernelInfo;

namespace {

MppeChoice chosen(config::MppeVariant variant, config::MppeRc4 rc4) {
  config::Dataplane wanted;
  wanted.mppe_variant = variant;
  wanted.mppe_rc4 = rc4;
  const auto choice = choose_mppe(wanted);
  REQUIRE(choice);
  return *choice;
}

// Which functions are those of a form, as `which` says it.
template <class Function, std::size_t kCount>
void check_words(unsigned which, Function* const (&chosen)[kCount],
                 Function* const (&bytes)[kCount], Function* const (&words)[kCount],
                 unsigned lanes) {
  for (unsigned n = 0; n < lanes; ++n) {
    CAPTURE(n);
    CHECK(chosen[n] == ((which >> n & 1) != 0 ? words[n] : bytes[n]));
  }
}

void check_choice(const MppeChoice& choice) {
  CAPTURE(name_of(choice.variant), choice.measured);
  const auto bytes = kernels_of(choice.variant, Rc4Form::kBytes);
  const auto words = kernels_of(choice.variant, Rc4Form::kWords);
  const unsigned lanes = bytes.lanes;
  const Rc4Kernels& rc4 = choice.kernels.rc4;
  check_words(choice.set_keys_words, rc4.set_keys, bytes.rc4.set_keys, words.rc4.set_keys, lanes);
  check_words(choice.change_keys_words, rc4.change_keys, bytes.rc4.change_keys,
              words.rc4.change_keys, lanes);
  check_words(choice.generate_few_words, rc4.generate_few, bytes.rc4.generate_few,
              words.rc4.generate_few, lanes);
  check_words(choice.generate_words, rc4.generate, bytes.rc4.generate, words.rc4.generate, lanes);
  check_words(choice.go_on_words, rc4.go_on, bytes.rc4.go_on, words.rc4.go_on, bytes.running_lanes);
}

}  // namespace

TEST_CASE("mppe start: the configuration forces a variant and a form", "[dataplane][mppe]") {
  for (const auto rc4 : {config::MppeRc4::kBytes, config::MppeRc4::kWords}) {
    const auto choice = chosen(config::MppeVariant::kPortable, rc4);
    CHECK(choice.variant == MppeVariant::kPortable);
    CHECK_FALSE(choice.measured);
    CHECK(choice.set_keys_words == (rc4 == config::MppeRc4::kWords ? 0xf : 0));
    check_choice(choice);
    const auto info = std::make_unique<MppeKernelInfo>();
    publish(choice, *info);
    CHECK(info->variant == MppeKernelInfo::Variant::kPortable);
    CHECK_FALSE(info->measured);
    for (unsigned n = 0; n < MppeKernelInfo::kStreams; ++n) {
      CHECK(info->forms[n] == (n >= 4 ? 0 : rc4 == config::MppeRc4::kWords ? 2 : 1));
      CHECK(info->bytes_step[n] == 0);
    }
  }
}

TEST_CASE("mppe start: what is measured is chosen and shown", "[dataplane][mppe]") {
  const auto choice = chosen(config::MppeVariant::kAuto, config::MppeRc4::kAuto);
  CHECK(choice.variant == best_variant());
  CHECK(choice.measured);
  check_choice(choice);
  const auto info = std::make_unique<MppeKernelInfo>();
  publish(choice, *info);
  CHECK(info->measured);
  for (unsigned n = 0; n < choice.kernels.lanes; ++n) {
    CHECK(info->forms[n] != 0);
    CHECK(info->bytes_step[n] == Approx(choice.bytes_step[n] * 100).margin(0.51));
    CHECK(info->words_step[n] == Approx(choice.words_step[n] * 100).margin(0.51));
    CHECK(info->words_step[n] != 0);
  }
}

TEST_CASE("mppe start: a variant that the CPU lacks is refused", "[dataplane][mppe]") {
  if (has_variant(MppeVariant::kAvx512)) return;
  config::Dataplane wanted;
  wanted.mppe_variant = config::MppeVariant::kAvx512;
  const auto choice = choose_mppe(wanted);
  REQUIRE_FALSE(choice);
  CHECK(choice.error().find("avx512") != std::string::npos);
}
