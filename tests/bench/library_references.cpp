// SPDX-License-Identifier: BSD-3-Clause
#include <nettle/arcfour.h>
#include <nettle/sha1.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rc4.h>
#include <openssl/sha.h>

#include <stdexcept>

#include "tests/bench/reference.hpp"

namespace pns::bench {
namespace {

const unsigned char* in(Bytes data) noexcept {
  return reinterpret_cast<const unsigned char*>(data.data());
}
unsigned char* out(MutableBytes data) noexcept {
  return reinterpret_cast<unsigned char*>(data.data());
}

// ---- OpenSSL, the functions below EVP.

class LowRc4 {
 public:
  void set_key(std::span<const std::byte, 16> key) noexcept { RC4_set_key(&key_, 16, in(key)); }
  void crypt(MutableBytes data) noexcept { RC4(&key_, data.size(), in(data), out(data)); }

 private:
  RC4_KEY key_;
};

class LowSha1 {
 public:
  template <class... Parts>
  std::array<std::byte, 20> digest(const Parts&... parts) noexcept {
    std::array<std::byte, 20> result;
    SHA_CTX context;
    SHA1_Init(&context);
    (SHA1_Update(&context, parts.data(), parts.size()), ...);
    SHA1_Final(out(result), &context);
    return result;
  }
};

// ---- OpenSSL EVP. RC4 is in the legacy provider.

void must(bool good) {
  if (!good) throw std::runtime_error("OpenSSL has no RC4 or SHA-1: is its legacy provider there?");
}

struct Providers {
  Providers() {
    must(OSSL_PROVIDER_load(nullptr, "default") != nullptr);
    must(OSSL_PROVIDER_load(nullptr, "legacy") != nullptr);
    cipher.reset(EVP_CIPHER_fetch(nullptr, "RC4", nullptr));
    digest.reset(EVP_MD_fetch(nullptr, "SHA1", nullptr));
    must(cipher && digest);
  }
  static const Providers& get() {
    static const Providers providers;
    return providers;
  }
  struct Free {
    void operator()(EVP_CIPHER* that) const { EVP_CIPHER_free(that); }
    void operator()(EVP_MD* that) const { EVP_MD_free(that); }
    void operator()(EVP_CIPHER_CTX* that) const { EVP_CIPHER_CTX_free(that); }
    void operator()(EVP_MD_CTX* that) const { EVP_MD_CTX_free(that); }
  };
  std::unique_ptr<EVP_CIPHER, Free> cipher;
  std::unique_ptr<EVP_MD, Free> digest;
};

class EvpRc4 {
 public:
  void set_key(std::span<const std::byte, 16> key) {
    must(EVP_EncryptInit_ex(context_.get(), Providers::get().cipher.get(), nullptr, in(key),
                            nullptr) == 1);
  }
  void crypt(MutableBytes data) {
    int size = 0;
    must(EVP_EncryptUpdate(context_.get(), out(data), &size, in(data),
                           static_cast<int>(data.size())) == 1);
  }

 private:
  std::unique_ptr<EVP_CIPHER_CTX, Providers::Free> context_{EVP_CIPHER_CTX_new()};
};

class EvpSha1 {
 public:
  template <class... Parts>
  std::array<std::byte, 20> digest(const Parts&... parts) {
    std::array<std::byte, 20> result;
    must(EVP_DigestInit_ex(context_.get(), Providers::get().digest.get(), nullptr) == 1);
    (must(EVP_DigestUpdate(context_.get(), parts.data(), parts.size()) == 1), ...);
    must(EVP_DigestFinal_ex(context_.get(), out(result), nullptr) == 1);
    return result;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, Providers::Free> context_{EVP_MD_CTX_new()};
};

// ---- nettle.

class NettleRc4 {
 public:
  void set_key(std::span<const std::byte, 16> key) noexcept {
    nettle_arcfour_set_key(&context_, key.size(),
                           reinterpret_cast<const std::uint8_t*>(key.data()));
  }
  void crypt(MutableBytes data) noexcept {
    nettle_arcfour_crypt(&context_, data.size(), out(data), in(data));
  }

 private:
  arcfour_ctx context_;
};

class NettleSha1 {
 public:
  template <class... Parts>
  std::array<std::byte, 20> digest(const Parts&... parts) noexcept {
    std::array<std::byte, 20> result;
    sha1_ctx context;
    nettle_sha1_init(&context);
    (nettle_sha1_update(&context, parts.size(), in(parts)), ...);
    nettle_sha1_digest(&context, result.size(), out(result));
    return result;
  }
};

}  // namespace

std::unique_ptr<Reference> openssl_low_reference() {
  return std::make_unique<ReferenceOf<LowRc4, LowSha1>>();
}
std::unique_ptr<Reference> openssl_evp_reference() {
  return std::make_unique<ReferenceOf<EvpRc4, EvpSha1>>();
}
std::unique_ptr<Reference> nettle_reference() {
  return std::make_unique<ReferenceOf<NettleRc4, NettleSha1>>();
}

}  // namespace pns::bench
