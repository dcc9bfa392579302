// SPDX-License-Identifier: Apache-2.0
// For tests: what a PullTrace was told, as lines of text with every field in them.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "images/pull_event.h"

namespace berth::images {

inline std::string Line(const ReferenceRead& e) {
  return absl::StrCat(
      "reference ", e.given, " is ", e.canonical, " = ", e.registry, " ", e.repository, " ", e.tag,
      " ", e.digest, e.default_registry ? " default registry" : "",
      e.default_namespace ? " default namespace" : "", e.default_tag ? " default tag" : "");
}
inline std::string Line(const CredentialsRead& e) {
  return absl::StrCat("credentials [", e.kind, "] for [", e.host, "]");
}
inline std::string Line(const ConfigurationFound& e) {
  return absl::StrCat("configuration [", absl::StrJoin(e.looked_for, " "), "] directory [",
                      e.directory, "] file [", e.hosts_file, "]");
}
inline std::string Line(const EndpointFound& e) {
  return absl::StrCat(
      "endpoint ", e.url, e.registry_itself ? " registry" : " mirror",
      e.only_if_unreachable ? " if-unreachable" : "", e.can_resolve ? " resolve" : "",
      e.can_pull ? " pull" : "", " ns [", e.ns, "]", e.skip_verify ? " skip-verify" : "", " ca [",
      absl::StrJoin(e.ca_files, " "), "] client [", e.client_certificate, "] headers [",
      absl::StrJoin(e.headers, " "), "] connect ", e.connect_timeout_ms, " proxy [", e.proxy, "] [",
      e.proxy_variable, "] [", e.proxy_exception, "]", e.gets_credentials ? " credentials" : "");
}
inline std::string Line(const EndpointSkipped& e) {
  return absl::StrCat("skipped ", e.url, ": ", e.reason);
}
inline std::string Line(const RequestMade& e) {
  return absl::StrCat("GET ", e.url, " ns [", e.ns, "] with [", e.authorization, "]: ", e.status,
                      " error [", e.error, "] type [", e.media_type, "] digest [", e.digest,
                      "] size ", e.size, " redirect [", e.redirect, "]");
}
inline std::string Line(const ChallengeMet& e) {
  std::string line = absl::StrCat("challenge of ", e.url);
  for (const ChallengeShown& c : e.challenges) {
    absl::StrAppend(&line, " {", c.scheme, " ", c.realm, " [", c.service, "] [", c.scope, "]}");
  }
  return absl::StrCat(line, " answer [", e.answer, "] reason [", e.reason, "]");
}
inline std::string Line(const TokenRequested& e) {
  return absl::StrCat("token ", e.method, " ", e.url, " service [", e.service, "] scope [", e.scope,
                      "] with [", e.credentials, "]: ", e.status, " error [", e.error, "]");
}
inline std::string Line(const RetryAwaited& e) { return absl::StrCat("retry ", e.wait_ms); }
inline std::string Line(const EndpointFailed& e) {
  return absl::StrCat("failed ", e.url, ": ", e.code, ": ", e.message);
}
inline std::string Line(const IndexRead& e) {
  std::string line = absl::StrCat("index ", e.digest, " ", e.media_type, " ", e.size, " from [",
                                  e.endpoint, "] for ", e.platform);
  for (const IndexEntryJudged& entry : e.entries) {
    absl::StrAppend(&line, " {", entry.digest, " ", entry.media_type, " ", entry.size, " [",
                    entry.platform, "] ", entry.verdict, entry.chosen ? " ->" : "", "}");
  }
  return line;
}
inline std::string Line(const ManifestRead& e) {
  return absl::StrCat("manifest ", e.digest, " ", e.media_type, " ", e.size, " from [", e.endpoint,
                      "]");
}
inline std::string Line(const PullPlanned& e) {
  const auto blob = [](const BlobPlanned& b) {
    return absl::StrCat("{", b.digest, " ", b.media_type, " ", b.size, b.here ? " here" : "", "}");
  };
  std::string line = absl::StrCat("plan ", e.image_id, e.image_here ? " here" : "", " config ",
                                  blob(e.config), e.config_checked ? " checked" : "", " layers");
  for (const BlobPlanned& layer : e.layers) absl::StrAppend(&line, " ", blob(layer));
  return absl::StrCat(line, " fetch ", e.blobs_to_fetch, " blobs ", e.bytes_to_fetch, " bytes");
}

// Collects; not thread safe.
class TestTrace {
 public:
  PullTrace trace() {
    return [this](const PullEvent& event) {
      lines_.push_back(std::visit([](const auto& e) { return Line(e); }, event));
    };
  }
  const std::vector<std::string>& lines() const { return lines_; }
  std::string text() const { return absl::StrJoin(lines_, "\n"); }
  void Clear() { lines_.clear(); }

 private:
  std::vector<std::string> lines_;
};

}  // namespace berth::images
