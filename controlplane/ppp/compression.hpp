// SPDX-License-Identifier: BSD-3-Clause
//
// CompressionAgreement: what CCP (RFC 1962) has agreed on, the same for both directions. MPPE is
// the only method so far; another one is another alternative of the variant. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace pns::ppp {

// RFC 3078 lets the directions differ; no peer does.
struct MppeAgreement {
  std::uint8_t key_bits = 128;  // 40, 56 or 128
  bool stateless = true;
  friend bool operator==(const MppeAgreement&, const MppeAgreement&) = default;

  static constexpr bool kEncrypts = true;
  static constexpr std::uint16_t kOverhead = 4;  // octets a frame (RFC 3078 §3)
  // As `pns show` prints it: "mppe128-stateless", "mppe40-stateful".
  [[nodiscard]] std::string name() const {
    return "mppe" + std::to_string(key_bits) + (stateless ? "-stateless" : "-stateful");
  }
};

class CompressionAgreement {
 public:
  using Method = std::variant<MppeAgreement>;

  CompressionAgreement(const Method& method) : method_(method) {}
  CompressionAgreement(const MppeAgreement& mppe) : method_(mppe) {}

  [[nodiscard]] const Method& method() const noexcept { return method_; }
  // Null when another method was agreed on.
  [[nodiscard]] const MppeAgreement* mppe() const noexcept {
    return std::get_if<MppeAgreement>(&method_);
  }
  // Whoever has encrypted once never goes on in the clear.
  [[nodiscard]] bool encrypts() const noexcept {
    return std::visit([](const auto& method) { return method.kEncrypts; }, method_);
  }
  // Octets that the method takes off the inner MTU.
  [[nodiscard]] std::uint16_t overhead() const noexcept {
    return std::visit([](const auto& method) { return method.kOverhead; }, method_);
  }
  [[nodiscard]] std::string name() const {
    return std::visit([](const auto& method) { return method.name(); }, method_);
  }
  friend bool operator==(const CompressionAgreement&, const CompressionAgreement&) = default;

 private:
  Method method_;
};

}  // namespace pns::ppp
