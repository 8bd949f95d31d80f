// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/reassembly.hpp"

#include <rte_ip.h>
#include <rte_ip_frag.h>
#include <rte_lcore.h>

#include <bit>
#include <cstring>

#include "pns/wire/checksum.hpp"
#include "pns/wire/ethernet.hpp"

namespace pns::dataplane {
namespace {

constexpr std::uint32_t kEntriesPerBucket = 16;
constexpr std::uint32_t kPrefetch = 3;

}  // namespace

void Reassembly::Free::operator()(rte_ip_frag_tbl* table) const noexcept {
  rte_ip_frag_table_destroy(table);
}
void Reassembly::Free::operator()(rte_ip_frag_death_row* row) const noexcept { delete row; }

Reassembly::Reassembly(const Settings& settings) {
  if (settings.packets == 0) return;
  // The table's unit of time is the caller's: here nanoseconds.
  const std::uint32_t buckets =
      std::bit_ceil((settings.packets + kEntriesPerBucket - 1) / kEntriesPerBucket);
  table_.reset(rte_ip_frag_table_create(buckets, kEntriesPerBucket, settings.packets,
                                        settings.wait_ns, static_cast<int>(rte_socket_id())));
  failed_ = table_ == nullptr;
  dead_.reset(new rte_ip_frag_death_row{});
}

Reassembly::~Reassembly() {
  if (!enabled()) return;
  // The row takes so many at a time.
  while (expire(UINT64_MAX) != 0) {
  }
}

rte_mbuf* Reassembly::add(rte_mbuf* fragment, std::uint64_t now_ns,
                          std::uint64_t& merged) noexcept {
  auto* header = rte_pktmbuf_mtod_offset(fragment, rte_ipv4_hdr*, wire::kEthernetHeaderSize);
  fragment->l2_len = wire::kEthernetHeaderSize;
  fragment->l3_len = rte_ipv4_hdr_len(header);
  rte_mbuf* const whole =
      rte_ipv4_frag_reassemble_packet(table_.get(), dead_.get(), fragment, now_ns, header);
  if (whole == nullptr) return nullptr;
  merged += whole->nb_segs - 1U;
  if (rte_pktmbuf_linearize(whole) != 0) return whole;  // longer than any packet we take
  header = rte_pktmbuf_mtod_offset(whole, rte_ipv4_hdr*, wire::kEthernetHeaderSize);
  header->hdr_checksum = 0;
  const std::uint16_t checksum = wire::internet_checksum(
      {reinterpret_cast<const std::byte*>(header), rte_ipv4_hdr_len(header)});
  header->hdr_checksum = rte_cpu_to_be_16(checksum);
  return whole;
}

std::uint64_t Reassembly::expire(std::uint64_t now_ns) noexcept {
  rte_ip_frag_table_del_expired_entries(table_.get(), dead_.get(), now_ns);
  const std::uint64_t count = dead_->cnt;
  rte_ip_frag_free_death_row(dead_.get(), kPrefetch);
  return count;
}

}  // namespace pns::dataplane
