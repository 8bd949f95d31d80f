// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/radius/libfreeradius/oracle.h"

#include <arpa/inet.h>
#include <freeradius/libradius.h>
#include <string.h>

static RADIUS_PACKET* packet_of(const uint8_t* data, size_t size) {
  RADIUS_PACKET* packet = rad_alloc(NULL, false);
  packet->data = talloc_memdup(packet, data, size);
  packet->data_len = size;
  packet->sockfd = -1;
  return packet;
}

static RADIUS_PACKET* request_of(unsigned code, const uint8_t* vector) {
  RADIUS_PACKET* request = rad_alloc(NULL, false);
  request->code = code;
  request->sockfd = -1;
  memcpy(request->vector, vector, AUTH_VECTOR_LEN);
  return request;
}

bool oracle_start(const char* dictionaries) { return dict_init(dictionaries, "dictionary") >= 0; }

const char* oracle_error(void) { return fr_strerror(); }

bool oracle_accepts(const uint8_t* data, size_t size) {
  RADIUS_PACKET* packet = packet_of(data, size);
  const bool ok = rad_packet_ok(packet, 0, NULL);
  rad_free(&packet);
  return ok;
}

bool oracle_verifies(const uint8_t* data, size_t size, unsigned code, const uint8_t* vector,
                     const char* secret) {
  RADIUS_PACKET* packet = packet_of(data, size);
  RADIUS_PACKET* request = code != 0 ? request_of(code, vector) : NULL;
  const bool ok = rad_packet_ok(packet, 0, NULL) && rad_verify(packet, request, secret) == 0;
  rad_free(&packet);
  if (request != NULL) rad_free(&request);
  return ok;
}

static void visit_pair(const VALUE_PAIR* pair, oracle_visit* visit, void* context) {
  uint8_t octets[18] = {0};
  const uint8_t* value = octets;
  size_t size = 0;
  uint32_t number = 0;
  switch (pair->da->type) {
    case PW_TYPE_STRING:
      value = (const uint8_t*)pair->vp_strvalue;
      size = pair->vp_length;
      break;
    case PW_TYPE_OCTETS:
      value = pair->vp_octets;
      size = pair->vp_length;
      break;
    case PW_TYPE_INTEGER:
      number = htonl(pair->vp_integer);
      memcpy(octets, &number, size = 4);
      break;
    case PW_TYPE_DATE:
      number = htonl(pair->vp_date);
      memcpy(octets, &number, size = 4);
      break;
    case PW_TYPE_IPV4_ADDR:
      memcpy(octets, &pair->vp_ipaddr, size = 4);
      break;
    case PW_TYPE_IFID:
      memcpy(octets, pair->vp_ifid, size = 8);
      break;
    case PW_TYPE_IPV6_ADDR:
      memcpy(octets, &pair->vp_ipv6addr, size = 16);
      break;
    case PW_TYPE_IPV6_PREFIX:
      memcpy(octets, &pair->vp_ipv6prefix, size = 18);
      octets[0] = 0;  // reserved: any value is taken
      break;
    default:
      return;
  }
  visit(context, pair->da->vendor, pair->da->attr,
        pair->da->flags.has_tag ? (unsigned)pair->tag : 0, value, size);
}

void oracle_decode(const uint8_t* data, size_t size, const uint8_t* vector, const char* secret,
                   oracle_visit* visit, void* context) {
  RADIUS_PACKET* packet = packet_of(data, size);
  RADIUS_PACKET* request = request_of(1, vector);
  if (rad_packet_ok(packet, 0, NULL) && rad_decode(packet, request, secret) == 0) {
    for (const VALUE_PAIR* pair = packet->vps; pair != NULL; pair = pair->next)
      if (!pair->da->flags.is_unknown) visit_pair(pair, visit, context);
  }
  rad_free(&packet);
  rad_free(&request);
}
