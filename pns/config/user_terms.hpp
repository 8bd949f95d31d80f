// SPDX-License-Identifier: BSD-3-Clause
//
// The terms of a user's service in the users file: time-outs, quota, rates, filters, name servers,
// sessions, MTU and encryption. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

void read_user_terms(Document& document, const Section& section, LocalUser& user);

// The configuration can serve these terms.
void check_user_terms(Document& document, const Config& config, const LocalUser& user);

}  // namespace pns::config
