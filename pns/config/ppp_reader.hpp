// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table ppp. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// Errors go to the document.
void read_ppp(const Section& section, Document& document, Ppp& out);

// Whether the RADIUS server is a peer's authenticator by EAP.
[[nodiscard]] bool relays_eap(const Ppp& ppp) noexcept;

}  // namespace pns::config
