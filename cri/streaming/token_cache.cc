// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/token_cache.h"

#include <sys/random.h>

#include <cerrno>

#include "absl/strings/escaping.h"

namespace berth::cri::streaming {
namespace {

StatusOr<std::string> NewToken() {
  char bytes[16];
  ssize_t size = 0;
  do {
    size = ::getrandom(bytes, sizeof bytes, 0);
  } while (size < 0 && errno == EINTR);
  if (size != static_cast<ssize_t>(sizeof bytes)) return ErrnoError(errno, "getrandom");
  std::string token;
  absl::WebSafeBase64Escape(absl::string_view(bytes, sizeof bytes), &token);
  return token;
}

}  // namespace

StatusOr<std::string> TokenCache::Insert(Request request) {
  ASSIGN_OR_RETURN(std::string token, NewToken());
  absl::MutexLock lock(&mutex_);
  const absl::Time now = clock_();
  if (entries_.size() >= kMaxPending) {
    std::erase_if(entries_, [now](const auto& entry) { return entry.second.expires <= now; });
    if (entries_.size() >= kMaxPending) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kMaxPending, " streaming requests wait for their clients"));
    }
  }
  entries_[token] = Entry{std::move(request), now + kLife};
  return token;
}

StatusOr<Request> TokenCache::Take(std::string_view token) {
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(std::string(token));
  if (found == entries_.end()) return absl::NotFoundError("no such request");
  Entry entry = std::move(found->second);
  entries_.erase(found);
  if (entry.expires <= clock_()) return absl::NotFoundError("no such request");
  return std::move(entry.request);
}

}  // namespace berth::cri::streaming
