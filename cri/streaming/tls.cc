// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/tls.h"

#include <sys/stat.h>

#include "base/log.h"

namespace berth::cri::streaming {

namespace ssl = boost::asio::ssl;

StatusOr<std::unique_ptr<TlsSource>> TlsSource::Create(std::string cert_file,
                                                       std::string key_file) {
  auto source =
      std::unique_ptr<TlsSource>(new TlsSource(std::move(cert_file), std::move(key_file)));
  absl::MutexLock lock(&source->mutex_);
  source->stamp_ = source->Stamp();
  ASSIGN_OR_RETURN(source->context_, source->Load());
  return source;
}

// Differs when a file was replaced or written.
std::string TlsSource::Stamp() const {
  std::string out;
  for (const std::string* path : {&cert_file_, &key_file_}) {
    struct stat info = {};
    if (::stat(path->c_str(), &info) != 0) return "";
    absl::StrAppend(&out, info.st_dev, ":", info.st_ino, ":", info.st_size, ":",
                    info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, " ");
  }
  return out;
}

StatusOr<TlsContext> TlsSource::Load() const {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code error;
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                           ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                           ssl::context::no_tlsv1_1 | ssl::context::no_compression,
                       error);
  if (!error) context->use_certificate_chain_file(cert_file_, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("certificate ", cert_file_, ": ", error.message()));
  }
  context->use_private_key_file(key_file_, ssl::context::pem, error);
  if (error)
    return absl::InvalidArgumentError(absl::StrCat("key ", key_file_, ": ", error.message()));
  return context;
}

TlsContext TlsSource::Current() {
  absl::MutexLock lock(&mutex_);
  std::string stamp = Stamp();
  if (stamp == stamp_ || stamp.empty()) return context_;
  StatusOr<TlsContext> loaded = Load();
  if (!loaded.ok()) {
    log::Warning("streaming: keeping the old certificate: ", loaded.status().ToString());
    return context_;
  }
  stamp_ = std::move(stamp);
  context_ = *std::move(loaded);
  return context_;
}

}  // namespace berth::cri::streaming
