// SPDX-License-Identifier: BSD-3-Clause
//
// The authentication methods of this server.
#include <memory>

#include "controlplane/ppp/auth_chap.hpp"
#include "controlplane/ppp/auth_eap.hpp"
#include "controlplane/ppp/auth_pap.hpp"
#include "controlplane/ppp/eap_relay.hpp"
#include "controlplane/ppp/settings.hpp"

namespace pns::ppp {

std::unique_ptr<AuthenticatorSide> standard_authenticator(model::AuthMethod method,
                                                          const LinkSettings& settings) {
  switch (method) {
    case model::AuthMethod::kPap:
      return std::make_unique<PapAuthenticator>(settings);
    case model::AuthMethod::kChapMd5:
      return std::make_unique<ChapMd5Authenticator>(settings);
    case model::AuthMethod::kMsChap:
      return std::make_unique<MsChapAuthenticator>(settings);
    case model::AuthMethod::kMsChapV2:
      return std::make_unique<MsChapV2Authenticator>(settings);
    case model::AuthMethod::kEap:
      if (settings.eap_relay) return std::make_unique<EapRelay>(settings);
      return std::make_unique<EapAuthenticator>(settings);
    case model::AuthMethod::kNone:
      return nullptr;
  }
  return nullptr;
}

}  // namespace pns::ppp
