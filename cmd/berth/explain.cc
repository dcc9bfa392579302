// SPDX-License-Identifier: Apache-2.0
#include "cmd/berth/explain.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cmd/berth/message_json.h"

namespace berth {
namespace {

namespace v1 = ::berth::v1;

// Collects lines; the first line of a step carries its label.
class Text {
 public:
  void Step(std::string_view label, const std::string& line) {
    absl::StrAppendFormat(&out_, "%-12s%s\n", std::string(label), line);
  }
  void More(const std::string& line) { Step("", line); }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string WithNs(const std::string& url, const std::string& ns) {
  return ns.empty() ? url : absl::StrCat(url, "?ns=", ns);
}

std::string Described(const std::string& media_type, uint64_t size, const std::string& digest) {
  return absl::StrCat(digest, digest.empty() ? "" : ", ",
                      media_type.empty() ? "no type" : media_type, ", ", size, " bytes");
}

void Add(const v1::ReferenceStep& step, Text* text) {
  std::vector<std::string> added;
  if (step.default_registry()) added.push_back("registry " + step.registry());
  if (step.default_namespace()) added.emplace_back("library/");
  if (step.default_tag()) added.push_back("tag " + step.tag());
  std::string line = step.canonical();
  if (!added.empty()) absl::StrAppend(&line, " (by default: ", absl::StrJoin(added, ", "), ")");
  text->Step("image", line);
  if (!step.tag().empty() && !step.digest().empty()) {
    text->More("the digest is asked for, the tag is not");
  }
}

void Add(const v1::CredentialsStep& step, Text* text) {
  text->Step("credentials", step.kind().empty()
                                ? "none"
                                : absl::StrCat(step.kind(), ", for ", step.host(), " only"));
}

void Add(const v1::ConfigurationStep& step, Text* text) {
  std::string line = absl::StrCat("none; looked for ", absl::StrJoin(step.looked_for(), ", "));
  if (!step.hosts_file().empty()) {
    line = step.hosts_file();
  } else if (!step.directory().empty()) {
    line = absl::StrCat("certificates in ", step.directory());
  }
  text->Step("configured", line);
}

std::string ProxyOf(const v1::EndpointStep& step) {
  if (step.proxy_variable().empty()) return "";
  if (step.proxy().empty()) {
    return absl::StrCat("no proxy (", step.proxy_variable(), " is set, but ",
                        step.proxy_exception(), ")");
  }
  return absl::StrCat("proxy ", step.proxy(), " (", step.proxy_variable(), ")");
}

void Add(const v1::EndpointStep& step, int number, Text* text) {
  std::vector<std::string> facts = {step.registry_itself() ? "the registry itself" : "mirror"};
  if (step.only_if_unreachable()) facts.emplace_back("only where HTTPS does not answer");
  const bool both = step.can_resolve() && step.can_pull();
  if (!both) {
    facts.emplace_back(step.can_pull()      ? "pull only"
                       : step.can_resolve() ? "resolve only"
                                            : "neither resolve nor pull");
  }
  if (!step.ns().empty()) facts.push_back("?ns=" + step.ns());
  if (step.skip_verify()) facts.emplace_back("certificate not verified");
  if (step.ca_files_size() > 0) facts.push_back("CA " + absl::StrJoin(step.ca_files(), ", "));
  if (!step.client_certificate().empty()) {
    facts.push_back("client certificate " + step.client_certificate());
  }
  if (step.headers_size() > 0) facts.push_back("header " + absl::StrJoin(step.headers(), ", "));
  facts.push_back("connect within " +
                  absl::FormatDuration(absl::Milliseconds(step.connect_timeout_ms())));
  if (std::string proxy = ProxyOf(step); !proxy.empty()) facts.push_back(std::move(proxy));
  if (step.gets_credentials()) facts.emplace_back("gets the credentials");
  text->Step(absl::StrCat("endpoint ", number), step.url());
  text->More(absl::StrJoin(facts, "; "));
}

void Add(const v1::RequestStep& step, Text* text) {
  const std::string with =
      step.authorization().empty() ? "" : absl::StrCat(" with ", step.authorization());
  text->Step("GET", WithNs(step.url(), step.ns()) + with);
  if (step.status() == 0) {
    text->More("no answer: " + step.error());
  } else if (!step.redirect().empty()) {
    text->More(absl::StrCat("status ", step.status(), ": redirected to ", step.redirect()));
  } else if (step.status() < 300) {
    text->More(absl::StrCat("status ", step.status(), ": ",
                            Described(step.media_type(), step.size(), step.digest())));
  } else {
    text->More(
        absl::StrCat("status ", step.status(), step.error().empty() ? "" : ": ", step.error()));
  }
}

void Add(const v1::ChallengeStep& step, Text* text) {
  std::vector<std::string> lines;
  for (const v1::Challenge& challenge : step.challenges()) {
    std::string line = challenge.scheme();
    if (!challenge.realm().empty()) absl::StrAppend(&line, ", realm ", challenge.realm());
    if (!challenge.service().empty()) absl::StrAppend(&line, ", service ", challenge.service());
    if (!challenge.scope().empty()) absl::StrAppend(&line, ", scope ", challenge.scope());
    lines.push_back(std::move(line));
  }
  if (lines.empty()) lines.emplace_back("none that can be read");
  text->Step("challenge", lines.front());
  for (size_t i = 1; i < lines.size(); ++i) text->More(lines[i]);
  text->More(step.answer().empty() ? "not answered: " + step.reason() : "answer: " + step.answer());
}

void Add(const v1::TokenStep& step, Text* text) {
  text->Step("token",
             absl::StrCat(step.method(), " ", step.url(), " ",
                          step.credentials().empty() ? "anonymously" : "with " + step.credentials(),
                          step.service().empty() ? "" : ", service " + step.service(), ", scope ",
                          step.scope()));
  if (step.status() == 0) {
    text->More("no answer: " + step.error());
  } else {
    text->More(
        absl::StrCat("status ", step.status(), step.error().empty() ? "" : ": ", step.error()));
  }
}

void Add(const v1::IndexStep& step, Text* text) {
  text->Step("index", Described(step.media_type(), step.size(), step.digest()));
  text->More(step.endpoint().empty() ? "it is here" : "from " + step.endpoint());
  text->More("this machine is " + step.platform());
  for (const v1::IndexEntry& entry : step.entries()) {
    text->More(absl::StrFormat("%s %-20s %s  %s", entry.chosen() ? "->" : "  ",
                               entry.platform().empty() ? "-" : entry.platform(), entry.digest(),
                               entry.verdict()));
  }
}

void Add(const v1::ManifestStep& step, Text* text) {
  text->Step("manifest", Described(step.media_type(), step.size(), step.digest()));
  text->More(step.endpoint().empty() ? "it is here" : "from " + step.endpoint());
}

std::string Fetched(const v1::PlannedBlob& blob) {
  return absl::StrFormat("%s %12d bytes  %s", blob.digest(), blob.size(),
                         blob.here() ? "is here" : "to fetch");
}

void Add(const v1::PlanStep& step, Text* text) {
  text->Step("config",
             Fetched(step.config()) + (step.config_checked() ? "" : ", not looked at for this"));
  for (const v1::PlannedBlob& layer : step.layers()) text->Step("layer", Fetched(layer));
  if (step.image_here()) {
    text->Step("result", "the image is here; a pull would fetch nothing and give it this name");
    return;
  }
  text->Step("result", absl::StrCat("a pull would fetch ", step.blobs_to_fetch(), " of ",
                                    1 + step.layers_size(), " blobs, ", step.bytes_to_fetch(),
                                    " bytes, as image ", step.image_id()));
}

void Add(const v1::PullStep& step, int* endpoints, Text* text) {
  switch (step.step_case()) {
    case v1::PullStep::kReference:
      return Add(step.reference(), text);
    case v1::PullStep::kCredentials:
      return Add(step.credentials(), text);
    case v1::PullStep::kConfiguration:
      return Add(step.configuration(), text);
    case v1::PullStep::kEndpoint:
      return Add(step.endpoint(), ++*endpoints, text);
    case v1::PullStep::kSkipped:
      return text->Step("skipped", step.skipped().url() + ": " + step.skipped().reason());
    case v1::PullStep::kRequest:
      return Add(step.request(), text);
    case v1::PullStep::kChallenge:
      return Add(step.challenge(), text);
    case v1::PullStep::kToken:
      return Add(step.token(), text);
    case v1::PullStep::kRetry:
      return text->Step("retry", absl::StrCat("after ", step.retry().wait_ms(), " ms"));
    case v1::PullStep::kFailed:
      return text->Step("failed", step.failed().code() + ": " + step.failed().message());
    case v1::PullStep::kIndex:
      return Add(step.index(), text);
    case v1::PullStep::kManifest:
      return Add(step.manifest(), text);
    case v1::PullStep::kPlan:
      return Add(step.plan(), text);
    case v1::PullStep::STEP_NOT_SET:
      // Of a newer daemon.
      return text->Step("?", "a step that this program does not know");
  }
}

}  // namespace

std::string ExplainText(const v1::ExplainPullResponse& response) {
  Text text;
  int endpoints = 0;
  for (const v1::PullStep& step : response.steps()) Add(step, &endpoints, &text);
  if (response.code() != 0) {
    text.Step(
        "result",
        absl::StrCat("a pull would fail with ",
                     absl::StatusCodeToString(static_cast<absl::StatusCode>(response.code()))));
  }
  return text.Take();
}

std::string ExplainJson(const v1::ExplainPullResponse& response) {
  return json::Serialize(MessageJson(response)) + "\n";
}

StatusOr<::runtime::v1::AuthConfig> ParseCreds(const std::string& text) {
  const size_t colon = text.find(':');
  ::runtime::v1::AuthConfig auth;
  auth.set_username(text.substr(0, colon));
  if (colon != std::string::npos) auth.set_password(text.substr(colon + 1));
  if (auth.username().empty()) {
    return absl::InvalidArgumentError("--creds: there is no user before the colon");
  }
  return auth;
}

}  // namespace berth
