// SPDX-License-Identifier: Apache-2.0
// Verified bytes by digest: blobs/<algorithm>/<hex> below the storage root, arriving through
// ingest/. A file below blobs/ is whole, has the digest of its name and is on disk; files in
// ingest/ are rubbish after a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/digest.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::images {

// A file that is being received, hashed as it grows. Not thread safe. Gone when destroyed.
class Ingest {
 public:
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  // DataLoss beyond the expected size, ResourceExhausted on a full disk.
  Status Append(std::span<const std::byte> bytes);
  // DataLoss if size or digest are not the expected ones. Once, after the last Append.
  Status Verify();
  // Open for reading at offset 0. Verify first.
  StatusOr<int> Rewind();

 private:
  friend class ContentStore;
  struct Hash;
  Ingest(Digest digest, uint64_t size, UniqueFd file);

  const Digest digest_;
  const uint64_t expected_;
  UniqueFd file_;
  uint64_t size_ = 0;
  std::unique_ptr<Hash> hash_;
};

// Thread safe.
class ContentStore {
 public:
  // `root` exists; directories are made with mode 0700.
  static StatusOr<std::unique_ptr<ContentStore>> Open(const std::string& root);

  // A nameless temporary file: nothing to clean up after a crash.
  StatusOr<std::unique_ptr<Ingest>> Begin(const Digest& digest, uint64_t size);

  // Verifies `bytes` against `digest` and stores them durably. Present: OK.
  Status Put(const Digest& digest, std::string_view bytes);
  // NotFound, DataLoss if the content does not match any more, OutOfRange above `cap`.
  StatusOr<std::string> Get(const Digest& digest, size_t cap) const;
  // Missing: OK.
  Status Remove(const Digest& digest);
  // Removes what ingest/ holds and every blob for which `keep` says no. Only at start.
  Status Sweep(const std::function<bool(const Digest&)>& keep);

 private:
  ContentStore(UniqueFd blobs, UniqueFd ingest)
      : blobs_(std::move(blobs)), ingest_(std::move(ingest)) {}

  const UniqueFd blobs_;
  const UniqueFd ingest_;
};

// The digest of `bytes` with the algorithm of `like`.
StatusOr<Digest> HashLike(const Digest& like, std::string_view bytes);
Digest Sha256Of(std::string_view bytes);

}  // namespace berth::images
