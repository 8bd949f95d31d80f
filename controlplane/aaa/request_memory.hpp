// SPDX-License-Identifier: BSD-3-Clause
//
// RequestMemory: the requests of dynamic authorization that were taken, and their outcomes. A
// retransmission gets the answer of its request again, and a copy from elsewhere is known as a
// replay (RFC 5176 §2.3, §6.3). A request is forgotten when its Event-Timestamp is too old to be
// taken again.
//
// It holds at most `most` requests, about 120 octets each. Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/model/authorization_counts.hpp"
#include "pns/base/ip_endpoint.hpp"
#include "pns/base/time.hpp"
#include "pns/radius/packet.hpp"

namespace pns::aaa {

// How a request ended.
struct RequestOutcome {
  std::optional<model::AuthorizationRefusal> refusal;  // empty: ACK
  std::uint32_t time = 0;  // of the answer, seconds since 1970: its Event-Timestamp
};

class RequestMemory {
 public:
  struct Request {
    IpEndpoint source;
    std::size_t client = 0;
    std::optional<RequestOutcome> outcome;  // empty: in progress
  };

  explicit RequestMemory(std::size_t most) : most_(most) {}

  [[nodiscard]] std::size_t size() const noexcept { return requests_.size(); }
  [[nodiscard]] bool is_full() const noexcept { return requests_.size() >= most_; }
  // Null: it is new. The authenticator is right, and so depends on every octet of the packet.
  [[nodiscard]] const Request* find(const radius::Authenticator& authenticator) const;
  // Precondition: it is new, and this is not full.
  void add(const radius::Authenticator& authenticator, const IpEndpoint& source, std::size_t client,
           TimePoint until);
  void finish(const radius::Authenticator& authenticator, const RequestOutcome& outcome);
  // Forgets requests whose time is over. `forgotten` hears the client of each.
  void forget(TimePoint now, const std::function<void(std::size_t client)>& forgotten);

 private:
  // An authenticator is a digest that depends on a secret: any of its octets will do.
  struct Hash {
    std::size_t operator()(const radius::Authenticator& authenticator) const noexcept {
      std::size_t out;
      std::memcpy(&out, authenticator.data(), sizeof(out));
      return out;
    }
  };
  using Due = std::pair<TimePoint, radius::Authenticator>;

  std::size_t most_;
  std::unordered_map<radius::Authenticator, Request, Hash> requests_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;  // the first to go on top
};

}  // namespace pns::aaa
