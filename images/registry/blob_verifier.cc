// SPDX-License-Identifier: Apache-2.0
#include "images/registry/blob_verifier.h"

#include <string>

namespace berth::images::registry {
namespace {

// Looked up once: OpenSSL 3 fetches an algorithm slowly.
const EVP_MD* Algorithm(std::string_view name) {
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  return name == "sha512" ? sha512 : sha256;
}

}  // namespace

StatusOr<BlobVerifier> BlobVerifier::Create(const Digest& digest, uint64_t size) {
  BlobVerifier verifier(digest, size, EVP_MD_CTX_new());
  const EVP_MD* algorithm = Algorithm(digest.algorithm());
  if (!verifier.hash_ || algorithm == nullptr ||
      EVP_DigestInit_ex2(verifier.hash_.get(), algorithm, nullptr) != 1) {
    return absl::InternalError(
        absl::StrCat(std::string(digest.algorithm()), ": OpenSSL cannot compute it"));
  }
  return verifier;
}

Status BlobVerifier::Add(std::span<const std::byte> bytes) {
  if (bytes.size() > size_ - count_) {
    return absl::DataLossError(
        absl::StrCat(digest_.str(), ": more than the expected ", size_, " bytes"));
  }
  count_ += bytes.size();
  if (EVP_DigestUpdate(hash_.get(), bytes.data(), bytes.size()) != 1) {
    return absl::InternalError(absl::StrCat(digest_.str(), ": OpenSSL cannot compute it"));
  }
  return absl::OkStatus();
}

Status BlobVerifier::Finish() {
  if (count_ != size_) {
    return absl::DataLossError(
        absl::StrCat(digest_.str(), ": ", count_, " bytes instead of the expected ", size_));
  }
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_DigestFinal_ex(hash_.get(), raw, &length) != 1) {
    return absl::InternalError(absl::StrCat(digest_.str(), ": OpenSSL cannot compute it"));
  }
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex.push_back(kHex[raw[i] >> 4]);
    hex.push_back(kHex[raw[i] & 15]);
  }
  if (hex == digest_.hex()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(digest_.str(), ": the content's digest is ",
                                          std::string(digest_.algorithm()), ":", hex));
}

StatusOr<Digest> Sha256Of(std::string_view bytes) {
  unsigned char raw[32];
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), raw, &length, Algorithm("sha256"), nullptr) != 1) {
    return absl::InternalError("sha256: OpenSSL cannot compute it");
  }
  return Digest::FromSha256(raw);
}

}  // namespace berth::images::registry
