// SPDX-License-Identifier: Apache-2.0
// The server's certificate, read again when its files change.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"

namespace berth::cri::streaming {

// Shared by the connections that were made with it and the source.
using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// Thread safe.
class TlsSource {
 public:
  // InvalidArgument if the files do not hold a chain and its key in PEM.
  static StatusOr<std::unique_ptr<TlsSource>> Create(std::string cert_file, std::string key_file);

  // For a new connection. If the files have changed and are no good (they are being replaced), the
  // last good ones serve on.
  TlsContext Current();

 private:
  TlsSource(std::string cert_file, std::string key_file)
      : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)) {}
  std::string Stamp() const;
  StatusOr<TlsContext> Load() const;

  const std::string cert_file_;
  const std::string key_file_;
  absl::Mutex mutex_;
  std::string stamp_ ABSL_GUARDED_BY(mutex_);
  TlsContext context_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::cri::streaming
