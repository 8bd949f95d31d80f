// SPDX-License-Identifier: BSD-3-Clause
//
// LayerEvents: an observer of PPP's machines that writes down what it hears, and the Context of one
// event around it. For tests of one part of a link alone.
#pragma once

#include <string>
#include <vector>

#include "controlplane/ppp/context.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_random.hpp"

namespace pns::test {

class LayerEvents final : public ppp::LayerObserver {
 public:
  void layer_up(wire::PppProtocol) override { heard.push_back("up"); }
  void layer_down(wire::PppProtocol, ppp::Event) override { heard.push_back("down"); }
  void layer_finished(wire::PppProtocol, EndReason) override { heard.push_back("finished"); }
  void layer_failed(wire::PppProtocol, EndReason) override { heard.push_back("failed"); }
  void before_ccp_ack(const ppp::CompressionAgreement&) override { heard.push_back("ccp ack"); }
  void before_ncp_ack() override { heard.push_back("ncp ack"); }
  void credentials(model::AuthRequest) override { heard.push_back("credentials"); }
  void before_auth_success() override { heard.push_back("success"); }
  void authenticated() override { heard.push_back("authenticated"); }
  void auth_failed(EndReason reason) override {
    heard.push_back("auth failed " + std::string(name_of(reason)));
  }

  [[nodiscard]] ppp::Context context() {
    return {actions, clock.now(), random, *this, rejects, 1500};
  }

  std::vector<std::string> heard;
  model::LinkActions actions;
  FakeClock clock;
  FakeRandom random;
  ppp::RejectLimiter rejects{10};
};

}  // namespace pns::test
