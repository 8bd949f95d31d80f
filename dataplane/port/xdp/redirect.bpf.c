/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The XDP program of an xdp: or kernel: port. It takes what the dataplane serves into the AF_XDP socket of the
 * receive queue and leaves everything else to the kernel, which keeps addresses, ARP, TCP 1723, SSH.
 * Built four times with clang:
 *   PNS_PORT_ACCESS  every IPv4 packet of protocol 47 (GRE), fragments included
 *   PNS_PORT_CORE    every IPv4 packet whose destination is in pns_prefixes (subscriber prefixes),
 *                    every IPv6 packet whose destination is in pns_prefixes6, and what asks for such
 *                    an address: requests of ARP, Neighbor Solicitations
 *   PNS_PORT_KERNEL  everything: what the host sends out of kernel:IFACE arrives at its peer, where the host
 *                    has no business
 *   PNS_PORT_LINK    what the first two take: both ports are this interface
 * DPDK's net_af_xdp loads the file and fills xsks_map; the dataplane fills the prefixes after that.
 * While no dataplane is there, what is ours is dropped and not passed on: the kernel would answer GRE
 * with ICMP protocol unreachable, and clients hang up on that. Lost packets they survive.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifdef PNS_PORT_LINK
#define PNS_PORT_ACCESS
#define PNS_PORT_CORE
#endif

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

#ifdef PNS_PORT_CORE
struct prefix_key {
  __u32 length;  /* bits */
  __u32 address; /* network byte order */
};

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix_key);
  __type(value, __u8);
} pns_prefixes SEC(".maps");

struct prefix6_key {
  __u32 length; /* bits */
  struct in6_addr address;
};

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix6_key);
  __type(value, __u8);
} pns_prefixes6 SEC(".maps");

static __always_inline int is_subscriber4(__u32 address) {
  struct prefix_key key = {.length = 32, .address = address};
  return bpf_map_lookup_elem(&pns_prefixes, &key) != 0;
}

static __always_inline int is_subscriber6(const struct in6_addr *address) {
  struct prefix6_key key = {.length = 128, .address = *address};
  return bpf_map_lookup_elem(&pns_prefixes6, &key) != 0;
}

/* RFC 826, for IPv4 on Ethernet. */
struct arp {
  __u16 hardware_type;
  __u16 protocol_type;
  __u8 hardware_length;
  __u8 protocol_length;
  __u16 operation;
  __u8 sender_mac[ETH_ALEN];
  __u8 sender[4];
  __u8 target_mac[ETH_ALEN];
  __u8 target[4];
};

/* Whether a request of ARP asks for a subscriber. */
static __always_inline int asks_for_subscriber4(void *packet, void *end) {
  struct arp *arp = packet;
  if ((void *)(arp + 1) > end) return 0;
  if (arp->hardware_length != ETH_ALEN || arp->protocol_length != 4 || arp->operation != bpf_htons(1)) return 0;
  __u32 target;
  __builtin_memcpy(&target, arp->target, sizeof(target));
  return is_subscriber4(target);
}

/* A Neighbor Solicitation without extension headers (RFC 4861 section 4.3). */
struct solicitation {
  struct ipv6hdr ip;
  __u8 type;
  __u8 code;
  __u16 checksum;
  __u32 reserved;
  struct in6_addr target;
};

/* Whether an IPv6 packet is for a subscriber, or asks for one. */
static __always_inline int concerns_subscriber6(void *packet, void *end) {
  struct ipv6hdr *ip = packet;
  if ((void *)(ip + 1) > end) return 0;
  if (is_subscriber6(&ip->daddr)) return 1;
  struct solicitation *ask = packet;
  if ((void *)(ask + 1) > end) return 0;
  return ip->nexthdr == IPPROTO_ICMPV6 && ip->hop_limit == 255 && ask->type == 135 &&
         is_subscriber6(&ask->target);
}
#endif

SEC("xdp")
int pns_redirect(struct xdp_md *ctx) {
#ifndef PNS_PORT_KERNEL
  void *data = (void *)(long)ctx->data;
  void *end = (void *)(long)ctx->data_end;
  struct ethhdr *ethernet = data;
  if ((void *)(ethernet + 1) > end) return XDP_PASS;
#ifdef PNS_PORT_CORE
  if (ethernet->h_proto == bpf_htons(ETH_P_IPV6) && concerns_subscriber6(ethernet + 1, end))
    return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_DROP);
  if (ethernet->h_proto == bpf_htons(ETH_P_ARP) && asks_for_subscriber4(ethernet + 1, end))
    return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_DROP);
#endif
  if (ethernet->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
  struct iphdr *ip = (void *)(ethernet + 1);
  if ((void *)(ip + 1) > end) return XDP_PASS;
  int ours = 0;
#ifdef PNS_PORT_ACCESS
  ours = ip->protocol == IPPROTO_GRE;
#endif
#ifdef PNS_PORT_CORE
  if (!ours) ours = is_subscriber4(ip->daddr);
#endif
  if (!ours) return XDP_PASS;
#endif
  return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
