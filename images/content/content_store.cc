// SPDX-License-Identifier: Apache-2.0
#include "images/content/content_store.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/directory.h"
#include "base/file.h"
#include "base/sys.h"
#include "images/failpoint.h"

namespace berth::images {
namespace {

constexpr int kDirFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

const EVP_MD* Algorithm(const Digest& digest) {
  return digest.algorithm() == "sha512" ? EVP_sha512() : EVP_sha256();
}

std::string PathOf(const Digest& digest) {
  return absl::StrCat(std::string(digest.algorithm()), "/", std::string(digest.hex()));
}

}  // namespace

struct Ingest::Hash {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Hash() { EVP_MD_CTX_free(context); }
};

Ingest::Ingest(Digest digest, uint64_t size, UniqueFd file)
    : digest_(std::move(digest)),
      expected_(size),
      file_(std::move(file)),
      hash_(std::make_unique<Hash>()) {
  EVP_DigestInit_ex(hash_->context, Algorithm(digest_), nullptr);
}

Ingest::~Ingest() = default;

Status Ingest::Append(std::span<const std::byte> bytes) {
  if (bytes.size() > expected_ - size_) {
    return absl::DataLossError(
        absl::StrCat("blob ", digest_.str(), " is larger than the declared ", expected_, " bytes"));
  }
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  RETURN_IF_ERROR(Annotate(WriteAll(file_.get(), text), absl::StrCat("store ", digest_.str())));
  EVP_DigestUpdate(hash_->context, bytes.data(), bytes.size());
  size_ += bytes.size();
  return absl::OkStatus();
}

Status Ingest::Verify() {
  if (size_ != expected_) {
    return absl::DataLossError(
        absl::StrCat("blob ", digest_.str(), " has ", size_, " bytes instead of ", expected_));
  }
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(hash_->context, raw, &size);
  std::string hex =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(raw), size));
  if (hex != digest_.hex()) {
    return absl::DataLossError(absl::StrCat("blob ", digest_.str(), " has the digest ", hex));
  }
  return absl::OkStatus();
}

StatusOr<int> Ingest::Rewind() {
  if (lseek(file_.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "rewind blob");
  return file_.get();
}

StatusOr<std::unique_ptr<ContentStore>> ContentStore::Open(const std::string& root) {
  for (const char* dir : {"/blobs", "/blobs/sha256", "/blobs/sha512", "/ingest"}) {
    RETURN_IF_ERROR(MakeDirs(root + dir, 0700));
  }
  ASSIGN_OR_RETURN(UniqueFd blobs, sys::Open(root + "/blobs", kDirFlags));
  ASSIGN_OR_RETURN(UniqueFd ingest, sys::Open(root + "/ingest", kDirFlags));
  return std::unique_ptr<ContentStore>(new ContentStore(std::move(blobs), std::move(ingest)));
}

StatusOr<std::unique_ptr<Ingest>> ContentStore::Begin(const Digest& digest, uint64_t size) {
  uint64_t random[2];
  sys::FillRandom(random, sizeof random);
  std::string name = absl::StrCat(absl::Hex(random[0]), absl::Hex(random[1]));
  ASSIGN_OR_RETURN(UniqueFd file,
                   sys::OpenAt(ingest_.get(), name, O_RDWR | O_CREAT | O_EXCL, 0600));
  if (unlinkat(ingest_.get(), name.c_str(), 0) != 0) return ErrnoError(errno, "unlink ingest");
  return std::unique_ptr<Ingest>(new Ingest(digest, size, std::move(file)));
}

Status ContentStore::Put(const Digest& digest, std::string_view bytes) {
  ASSIGN_OR_RETURN(Digest found, HashLike(digest, bytes));
  if (found != digest) {
    return absl::DataLossError(
        absl::StrCat("blob ", digest.str(), " has the digest ", found.str()));
  }
  ASSIGN_OR_RETURN(UniqueFd dir,
                   sys::OpenAt(blobs_.get(), std::string(digest.algorithm()), kDirFlags));
  Failpoint("images.blob");
  return AtomicReplace(dir.get(), std::string(digest.hex()), bytes, 0600, /*durable=*/true);
}

StatusOr<std::string> ContentStore::Get(const Digest& digest, size_t cap) const {
  ASSIGN_OR_RETURN(UniqueFd file, sys::OpenAt(blobs_.get(), PathOf(digest), O_RDONLY | O_NOFOLLOW));
  ASSIGN_OR_RETURN(std::string bytes, ReadAll(file.get(), cap, digest.str()));
  ASSIGN_OR_RETURN(Digest found, HashLike(digest, bytes));
  if (found != digest)
    return absl::DataLossError(absl::StrCat("blob ", digest.str(), " is damaged"));
  return bytes;
}

Status ContentStore::Remove(const Digest& digest) {
  if (unlinkat(blobs_.get(), PathOf(digest).c_str(), 0) != 0 && errno != ENOENT) {
    return ErrnoError(errno, absl::StrCat("remove blob ", digest.str()));
  }
  return absl::OkStatus();
}

Status ContentStore::Sweep(const std::function<bool(const Digest&)>& keep) {
  ASSIGN_OR_RETURN(auto rubbish, ListDirectory(ingest_.get(), "."));
  for (const std::string& name : rubbish) RETURN_IF_ERROR(RemoveTree(ingest_.get(), name));
  for (const char* algorithm : {"sha256", "sha512"}) {
    ASSIGN_OR_RETURN(UniqueFd dir, sys::OpenAt(blobs_.get(), algorithm, kDirFlags));
    ASSIGN_OR_RETURN(auto names, ListDirectory(dir.get(), "."));
    for (const std::string& name : names) {
      auto digest = Digest::Parse(absl::StrCat(algorithm, ":", name));
      if (digest.ok() && keep(*digest)) continue;
      RETURN_IF_ERROR(RemoveTree(dir.get(), name));
    }
  }
  return absl::OkStatus();
}

StatusOr<Digest> HashLike(const Digest& like, std::string_view bytes) {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), raw, &size, Algorithm(like), nullptr) != 1) {
    return absl::InternalError("digest failed");
  }
  return Digest::Parse(absl::StrCat(
      std::string(like.algorithm()), ":",
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(raw), size))));
}

Digest Sha256Of(std::string_view bytes) {
  unsigned char raw[32];
  EVP_Digest(bytes.data(), bytes.size(), raw, nullptr, EVP_sha256(), nullptr);
  return Digest::FromSha256(raw);
}

}  // namespace berth::images
