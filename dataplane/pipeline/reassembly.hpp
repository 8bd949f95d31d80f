// SPDX-License-Identifier: BSD-3-Clause
//
// Reassembly: fragments of outer IPv4 packets become whole packets again (RFC 791 §3.2), with
// rte_ip_frag. Bounded in packets, fragments of each (8) and time; overlapping fragments never
// make a packet. Owns the fragments it holds. One worker; needs EAL; allocates at construction
// only.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>

#include "pns/wire/ipv4.hpp"

struct rte_ip_frag_tbl;
struct rte_ip_frag_death_row;

namespace pns::dataplane {

class Reassembly {
 public:
  struct Settings {
    std::uint32_t packets = 0;  // being put together at once; 0: none is
    std::uint64_t wait_ns = 1'000'000'000;
  };

  explicit Reassembly(const Settings& settings);
  ~Reassembly();
  Reassembly(const Reassembly&) = delete;
  Reassembly& operator=(const Reassembly&) = delete;

  [[nodiscard]] bool enabled() const noexcept { return table_ != nullptr; }
  // Wanted, but there was no memory for it. Ask after construction.
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  // Takes a fragment, data at its Ethernet header. The whole packet when it was the last one
  // missing: one segment, its IPv4 header made right; null otherwise. `merged`: fragments that went
  // into it beside the returned one.
  [[nodiscard]] rte_mbuf* add(rte_mbuf* fragment, std::uint64_t now_ns,
                              std::uint64_t& merged) noexcept;
  // Frees what came to nothing: waited too long, did not fit together, had no room. Result: how
  // many fragments. Call after a burst and from time to time.
  std::uint64_t expire(std::uint64_t now_ns) noexcept;

 private:
  struct Free {
    void operator()(rte_ip_frag_tbl* table) const noexcept;
    void operator()(rte_ip_frag_death_row* row) const noexcept;
  };
  std::unique_ptr<rte_ip_frag_tbl, Free> table_;
  std::unique_ptr<rte_ip_frag_death_row, Free> dead_;
  bool failed_ = false;
};

}  // namespace pns::dataplane
