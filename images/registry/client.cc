// SPDX-License-Identifier: Apache-2.0
#include "images/registry/client.h"

#include <functional>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "images/registry/answer.h"
#include "images/registry/backoff.h"
#include "images/registry/blob_verifier.h"
#include "images/registry/endpoint_client.h"

namespace berth::images::registry {
namespace {

std::string AcceptedManifests() {
  return absl::StrCat(std::string(kOciIndexType), ", ", std::string(kOciManifestType), ", ",
                      std::string(kDockerListType), ", ", std::string(kDockerManifestType));
}

// One blob on its way: what endpoints and tries have in common.
struct Transfer {
  const Descriptor& descriptor;
  const BlobSink& sink;
  BlobVerifier verifier;
  std::vector<const EndpointClient*> sources;  // who delivered bytes
};

// What one endpoint made of a request.
struct Verdict {
  Status status;
  // Nobody else needs to be asked: done, or stopped by the caller.
  bool is_final = false;
  bool unreachable = false;
};

class RegistryClient : public Client {
 public:
  RegistryClient(const ClientOptions& options, Reference reference)
      : options_(options), reference_(std::move(reference)) {}

  Status Init(const std::optional<AuthConfig>& auth) {
    ASSIGN_OR_RETURN(authorizer_, Authorizer::Create(&http_, reference_, auth, options_.trace));
    ASSIGN_OR_RETURN(auto endpoints, LoadEndpoints(options_.certs_dir, options_.docker_certs_dir,
                                                   reference_.domain(), options_.trace));
    for (Endpoint& endpoint : endpoints) {
      endpoints_.push_back(std::make_unique<EndpointClient>(
          &http_, authorizer_.get(), options_, std::move(endpoint), reference_.domain()));
      if (options_.trace) options_.trace(endpoints_.back()->Describe());
    }
    return absl::OkStatus();
  }

  StatusOr<Resolved> Resolve(const Context& context) override {
    const std::optional<Digest>& digest = reference_.digest();
    std::optional<Resolved> resolved;
    Status status = AskInTurn(context, digest ? "" : "resolve", [&](EndpointClient& endpoint) {
      return AskManifest(context, endpoint, digest ? digest->str() : reference_.tag(), digest,
                         nullptr, &resolved);
    });
    RETURN_IF_ERROR(status);
    return *std::move(resolved);
  }

  StatusOr<Resolved> FetchManifest(const Context& context, const Descriptor& descriptor) override {
    if (descriptor.size > kMaxManifestBytes) {
      return absl::DataLossError(absl::StrCat("manifest ", descriptor.digest.str(), ": ",
                                              descriptor.size, " bytes are more than ",
                                              kMaxManifestBytes));
    }
    std::optional<Resolved> resolved;
    Status status = AskInTurn(context, "", [&](EndpointClient& endpoint) {
      return AskManifest(context, endpoint, descriptor.digest.str(), descriptor.digest, &descriptor,
                         &resolved);
    });
    RETURN_IF_ERROR(status);
    return *std::move(resolved);
  }

  Status FetchBlob(const Context& context, const Descriptor& descriptor,
                   const BlobSink& sink) override {
    ASSIGN_OR_RETURN(auto verifier, BlobVerifier::Create(descriptor.digest, descriptor.size));
    Transfer transfer{
        .descriptor = descriptor, .sink = sink, .verifier = std::move(verifier), .sources = {}};
    return AskInTurn(context, descriptor.digest.str(), [&](EndpointClient& endpoint) {
      return AskBlob(context, endpoint, &transfer);
    });
  }

  StatusOr<std::string> FetchSmallBlob(const Context& context, const Descriptor& descriptor,
                                       size_t cap) override {
    if (descriptor.size > cap) {
      return absl::DataLossError(absl::StrCat("blob ", descriptor.digest.str(), ": ",
                                              descriptor.size, " bytes are more than ", cap));
    }
    std::string body;
    RETURN_IF_ERROR(FetchBlob(context, descriptor, [&body](std::span<const std::byte> piece) {
      body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return absl::OkStatus();
    }));
    return body;
  }

 private:
  using Ask = std::function<Verdict(EndpointClient&)>;

  // Asks the endpoints in order until one has it. `need` is "resolve", or the digest of a blob, or
  // empty for a manifest by digest.
  Status AskInTurn(const Context& context, const std::string& need, const Ask& ask) {
    Status last = absl::UnavailableError(absl::StrCat(
        std::string(kUnavailablePrefix), reference_.name(), ": no endpoint may be asked"));
    std::string before;  // what earlier endpoints said
    bool previous_unreachable = false;
    bool asked = false;
    for (const auto& endpoint : endpoints_) {
      const Endpoint& where = endpoint->endpoint();
      if (need == "resolve" ? !where.can_resolve : !where.can_pull) {
        Skip(where, need == "resolve" ? "it may not resolve tags" : "it may not be pulled from");
        continue;
      }
      if (where.only_if_unreachable && !previous_unreachable) {
        Skip(where, "plain HTTP is for where HTTPS does not answer");
        continue;
      }
      if (IsBad(*endpoint, need)) {
        last = absl::DataLossError(
            absl::StrCat(need, ": ", where.api.shown(), " served wrong bytes before"));
        Skip(where, "it served wrong bytes before");
        continue;
      }
      if (endpoint->down() && endpoint != endpoints_.back()) {
        previous_unreachable = true;
        Skip(where, "it could not be reached before");
        continue;
      }
      if (asked && before.size() < 1024) {
        absl::StrAppend(&before, "; before that ", std::string(last.message()));
      }
      Verdict verdict = ask(*endpoint);
      asked = true;
      if (verdict.status.ok()) return absl::OkStatus();
      if (options_.trace) {
        options_.trace(EndpointFailed{where.api.shown(),
                                      absl::StatusCodeToString(verdict.status.code()),
                                      std::string(verdict.status.message())});
      }
      if (verdict.is_final) return verdict.status;
      last = verdict.status;
      previous_unreachable = verdict.unreachable;
      // A cancelled pull asks no further.
      RETURN_IF_ERROR(context.Check());
    }
    return before.empty() ? last
                          : Status(last.code(), absl::StrCat(std::string(last.message()), before));
  }

  void Skip(const Endpoint& endpoint, const char* reason) const {
    if (options_.trace) options_.trace(EndpointSkipped{endpoint.api.shown(), reason});
  }

  Verdict AskManifest(const Context& context, EndpointClient& endpoint, const std::string& name,
                      const std::optional<Digest>& digest, const Descriptor* expected,
                      std::optional<Resolved>* resolved) {
    ApiRequest request;
    request.path = absl::StrCat("/", reference_.path(), "/manifests/", name);
    request.accept = AcceptedManifests();
    request.max_body = kMaxManifestBytes;
    Backoff backoff(options_);
    HttpResult result = endpoint.Get(context, request);
    while (IsTransient(result) && backoff.Wait(context, result)) {
      result = endpoint.Get(context, request);
    }
    if (result.outcome != Outcome::kAnswered || result.response.status != 200) {
      return Failed(context, endpoint, result, request.path);
    }
    auto made = MakeResolved(endpoint, std::move(result.response), digest, expected);
    if (!made.ok()) {
      return {.status =
                  Annotate(made.status(),
                           absl::StrCat("GET ", endpoint.endpoint().api.shown(), request.path))};
    }
    *resolved = *std::move(made);
    return {.status = absl::OkStatus(), .is_final = true};
  }

  StatusOr<Resolved> MakeResolved(const EndpointClient& endpoint, HttpResponse response,
                                  const std::optional<Digest>& digest, const Descriptor* expected) {
    ASSIGN_OR_RETURN(Digest actual, Sha256Of(response.body));
    if (digest) {
      ASSIGN_OR_RETURN(
          auto verifier,
          BlobVerifier::Create(*digest, expected ? expected->size : response.body.size()));
      RETURN_IF_ERROR(verifier.Add(std::as_bytes(std::span(response.body))));
      RETURN_IF_ERROR(verifier.Finish());
      actual = *digest;
    } else if (std::string claimed(response.Header("docker-content-digest"));
               claimed.starts_with("sha256:") && claimed != actual.str()) {
      return absl::DataLossError(absl::StrCat("the registry names it ", Printable(claimed, 80),
                                              ", but its digest is ", actual.str()));
    }
    std::string type(expected ? expected->media_type : response.Header("content-type"));
    ASSIGN_OR_RETURN(ManifestDocument document, ParseManifest(response.body, type));
    std::string media_type = std::visit([](const auto& d) { return d.media_type; }, document);
    uint64_t size = response.body.size();
    return Resolved{.descriptor = {.media_type = std::move(media_type),
                                   .digest = actual,
                                   .size = size,
                                   .platform = {}},
                    .body = std::move(response.body),
                    .document = std::move(document),
                    .endpoint = endpoint.endpoint().api.str()};
  }

  // Fetches what is still missing, over several connections if need be.
  Verdict AskBlob(const Context& context, EndpointClient& endpoint, Transfer* transfer) {
    std::string path =
        absl::StrCat("/", reference_.path(), "/blobs/", transfer->descriptor.digest.str());
    Backoff backoff(options_);
    BlobVerifier& verifier = transfer->verifier;
    bool ranges = true;
    while (true) {
      uint64_t before = verifier.count();
      Status sink_error;
      HttpResult result = endpoint.Get(context, BlobRequest(path, ranges, transfer, &sink_error));
      // The caller's own trouble (a full disk) is no fault of the registry.
      if (!sink_error.ok()) return {.status = sink_error, .is_final = true};
      if (verifier.count() > before) {
        backoff.Progress();
        transfer->sources.push_back(&endpoint);
      }
      bool success = result.response.status == 200 || result.response.status == 206;
      bool good = result.outcome == Outcome::kAnswered && success;
      // All bytes are there: how the connection ended after them does not matter.
      bool whole = success && verifier.count() == verifier.size() &&
                   (good || (result.outcome == Outcome::kBroken && verifier.count() > before));
      if (whole) {
        Status finished = verifier.Finish();
        return finished.ok() ? Verdict{.status = finished, .is_final = true}
                             : Corrupt(endpoint, transfer, finished, path);
      }
      if (result.outcome == Outcome::kStopped && absl::IsDataLoss(result.error)) {
        return Corrupt(endpoint, transfer, result.error, path);
      }
      bool no_range = result.outcome == Outcome::kAnswered && result.response.status == 416;
      if (no_range && ranges) {
        ranges = false;
        continue;
      }
      if ((good || IsTransient(result)) && backoff.Wait(context, result)) continue;
      if (good) {
        Status status = context.Check();
        if (status.ok()) status = verifier.Finish();
        return Corrupt(endpoint, transfer, status, path);
      }
      return Failed(context, endpoint, result, path);
    }
  }

  // Bytes that came before are skipped if the server starts again from the first.
  static ApiRequest BlobRequest(const std::string& path, bool ranges, Transfer* transfer,
                                Status* sink_error) {
    ApiRequest request;
    request.path = path;
    uint64_t have = transfer->verifier.count();
    uint64_t size = transfer->verifier.size();
    if (ranges && have < size) request.offset = have;
    auto skip = std::make_shared<uint64_t>(have);  // both callbacks own it
    request.on_head = [skip, have, size](const HttpResponse& response) -> Status {
      uint64_t length = 0;
      std::string text(response.Header("content-length"));
      bool known = absl::SimpleAtoi(text, &length);
      if (response.status == 206) {
        std::string begin = absl::StrCat("bytes ", have, "-");
        if (!response.Header("content-range").starts_with(begin)) {
          return absl::DataLossError("the answer is another range than the one asked for");
        }
        *skip = 0;
      }
      uint64_t want = response.status == 206 ? size - have : size;
      if (known && length != want) {
        return absl::DataLossError(
            absl::StrCat("the registry has ", length, " bytes instead of the expected ", want));
      }
      return absl::OkStatus();
    };
    request.on_body = [skip, transfer, sink_error](std::span<const std::byte> piece) -> Status {
      size_t old = std::min<uint64_t>(*skip, piece.size());
      *skip -= old;
      piece = piece.subspan(old);
      if (piece.empty()) return absl::OkStatus();
      RETURN_IF_ERROR(transfer->verifier.Add(piece));
      *sink_error = transfer->sink(piece);
      return *sink_error;
    };
    return request;
  }

  // An endpoint that promises wrong bytes is passed over; once some were delivered, the blob cannot
  // be saved by another.
  Verdict Corrupt(const EndpointClient& endpoint, Transfer* transfer, const Status& status,
                  const std::string& path) {
    if (absl::IsDataLoss(status)) {
      std::lock_guard lock(mutex_);
      const std::string& digest = transfer->descriptor.digest.str();
      bad_.emplace(&endpoint, digest);
      for (const EndpointClient* source : transfer->sources) bad_.emplace(source, digest);
    }
    std::string what = absl::StrCat("GET ", endpoint.endpoint().api.shown(), path);
    return {.status = Annotate(status, what),
            .is_final = !absl::IsDataLoss(status) || !transfer->sources.empty()};
  }

  Verdict Failed(const Context& context, const EndpointClient& endpoint, const HttpResult& result,
                 const std::string& path) {
    // A context that ended while waiting for another try is the reason, not the last failure.
    Status ended = context.Check();
    if (!ended.ok() && result.outcome != Outcome::kStopped) {
      return {.status = Annotate(ended, std::string(endpoint.ErrorOf(result, path).message())),
              .is_final = true};
    }
    return {.status = endpoint.ErrorOf(result, path),
            .is_final = !ended.ok(),
            .unreachable = result.outcome == Outcome::kUnreachable};
  }

  bool IsBad(const EndpointClient& endpoint, const std::string& digest) {
    std::lock_guard lock(mutex_);
    return bad_.contains({&endpoint, digest});
  }

  const ClientOptions options_;
  const Reference reference_;
  HttpClient http_;
  std::unique_ptr<Authorizer> authorizer_;
  std::vector<std::unique_ptr<EndpointClient>> endpoints_;
  std::mutex mutex_;
  // Endpoints that served wrong bytes for a digest; guarded by mutex_.
  std::set<std::pair<const EndpointClient*, std::string>> bad_;
};

}  // namespace

StatusOr<std::unique_ptr<Client>> Client::Create(const ClientOptions& options,
                                                 const Reference& reference,
                                                 const std::optional<AuthConfig>& auth) {
  auto client = std::make_unique<RegistryClient>(options, reference);
  RETURN_IF_ERROR(client->Init(auth));
  return client;
}

}  // namespace berth::images::registry
