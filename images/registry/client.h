// SPDX-License-Identifier: Apache-2.0
// Pulls from registries (OCI distribution-spec, "Pull"): mirrors and credentials, tokens, retries,
// redirects, resumption. The entry header of images/registry.
//
// Codes of every call here:
//   NotFound            no such image or blob (404)
//   Unauthenticated     401, or the token server refused
//   PermissionDenied    403
//   ResourceExhausted   429 after retries
//   Unavailable         5xx, no connection, TLS, stall; the message starts with
//                       "RegistryUnavailable: ": hand it on without a prefix, kubelet looks for it
//   DataLoss            digest or size mismatch, malformed or oversize document
//   Unimplemented       schema 1
//   InvalidArgument     unusable credentials
//   FailedPrecondition  hosts.toml is wrong: the message says file and line
//   DeadlineExceeded, Cancelled  by the Context, within some 100 ms
//   Unknown             any other answer
// Messages name the URL (without its query), the status and the registry's own words, bounded and
// without control characters. No message holds a secret.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/time/time.h"
#include "base/context.h"
#include "base/status.h"
#include "images/images.h"
#include "images/manifest.h"
#include "images/pull_event.h"
#include "images/reference.h"

namespace berth::images::registry {

struct ClientOptions {
  std::string certs_dir;                                 // <host>/hosts.toml
  std::string docker_certs_dir = "/etc/docker/certs.d";  // certificates only; empty: not used
  absl::Duration connect_timeout = absl::Seconds(30);    // dial_timeout of hosts.toml overrides
  absl::Duration stall_timeout = absl::Seconds(60);      // without a byte
  // Tries of one endpoint without progress; the wait doubles from first_backoff. Retry-After is
  // obeyed up to max_backoff.
  int tries = 3;
  absl::Duration first_backoff = absl::Milliseconds(200);
  absl::Duration max_backoff = absl::Seconds(10);
  PullTrace trace;  // hears what is decided, in Client::Create and in each call
};

// A manifest or an index whose digest is verified.
struct Resolved {
  Descriptor descriptor;
  std::string body;  // the bytes the digest is of
  ManifestDocument document;
  std::string endpoint;  // base URL of the registry or mirror that served it
};

// Receives the next bytes of a blob. An error stops the transfer and is returned as it is.
using BlobSink = std::function<Status(std::span<const std::byte>)>;

// One pull of one repository: its endpoints, credentials and tokens. Reads hosts.toml when made,
// so a change needs no restart. Thread safe: blobs may be fetched in parallel.
class Client {
 public:
  static StatusOr<std::unique_ptr<Client>> Create(const ClientOptions& options,
                                                  const Reference& reference,
                                                  const std::optional<AuthConfig>& auth);
  virtual ~Client() = default;

  // Blocks. Asks the registry for what the reference names: by digest if it has one, else by tag.
  virtual StatusOr<Resolved> Resolve(const Context& context) = 0;

  // Blocks. A manifest that an index points to.
  virtual StatusOr<Resolved> FetchManifest(const Context& context,
                                           const Descriptor& descriptor) = 0;

  // Blocks. Streams a blob to `sink`, each byte once and in order even if the connection breaks and
  // another endpoint takes over. Only after OK is it known that the digest is right: the sink must
  // not trust the bytes before. After DataLoss this client asks the endpoint that served them no
  // more for this blob, so that a second call with an empty sink may find a better one.
  virtual Status FetchBlob(const Context& context, const Descriptor& descriptor,
                           const BlobSink& sink) = 0;

  // Blocks. FetchBlob into memory; DataLoss if the descriptor says more than `cap` bytes.
  virtual StatusOr<std::string> FetchSmallBlob(const Context& context, const Descriptor& descriptor,
                                               size_t cap) = 0;
};

}  // namespace berth::images::registry
