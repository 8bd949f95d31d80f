// SPDX-License-Identifier: BSD-3-Clause
#include <cpuid.h>

#include <initializer_list>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {
namespace {

// clang 14 cannot be asked for it by name.
bool has_sha_instructions() noexcept {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & 1U << 29) != 0;
}

}  // namespace

bool has_variant(MppeVariant variant) noexcept {
  __builtin_cpu_init();
  if (variant == MppeVariant::kPortable) return true;
  for (const bool has : {__builtin_cpu_supports("avx2") != 0, __builtin_cpu_supports("bmi") != 0,
                         __builtin_cpu_supports("bmi2") != 0})
    if (!has) return false;
  return variant == MppeVariant::kAvx2 ||
         (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"));
}

MppeVariant best_variant() noexcept {
  for (const MppeVariant variant : {MppeVariant::kAvx512, MppeVariant::kAvx2})
    if (has_variant(variant)) return variant;
  return MppeVariant::kPortable;
}

MppeKernels kernels_of(MppeVariant variant, Rc4Form form) noexcept {
  if (variant == MppeVariant::kPortable) return portable_kernels(form);
  MppeKernels kernels = variant == MppeVariant::kAvx2 ? avx2_kernels(form) : avx512_kernels(form);
  if (has_sha_instructions()) {
    kernels.few_new_keys = new_keys_sha_ni;
    // As measured on Zen 5: always sooner than AVX2, and than a vector of AVX-512 that is not full.
    kernels.few_keys = variant == MppeVariant::kAvx2 ? ~0U : 6;
  }
  return kernels;
}

const char* name_of(MppeVariant variant) noexcept {
  switch (variant) {
    case MppeVariant::kPortable:
      return "portable";
    case MppeVariant::kAvx2:
      return "avx2";
    case MppeVariant::kAvx512:
      return "avx512";
  }
  return "";
}

const char* name_of(Rc4Form form) noexcept { return form == Rc4Form::kBytes ? "bytes" : "words"; }

}  // namespace pns::dataplane
