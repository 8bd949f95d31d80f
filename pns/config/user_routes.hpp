// SPDX-License-Identifier: BSD-3-Clause
//
// `routes` of a user: the networks behind a subscriber. Private to pns/config.
#pragma once

#include <vector>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

void read_user_routes(Document& document, const Section& section, Networks& routes);

// No network is behind two users, and none holds another user's fixed address or prefix.
void check_user_routes(Document& document, const std::vector<LocalUser>& users);

// No network of this user is the server's, a pool's or behind the core port, and his links carry
// the families of his networks.
void check_user_routes(Document& document, const Config& config, const LocalUser& user);

}  // namespace pns::config
