// SPDX-License-Identifier: Apache-2.0
// What a pull finds and decides on its way: values that the pull's own code hands to a PullTrace in
// the order in which things happen. `berth explain pull` shows them; a plain pull has no trace.
//
// Text from strangers (headers, documents) arrives printable and bounded. No event holds a secret:
// credentials are named by their kind, headers by their name, and URLs come without a query and
// without user and password.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace berth::images {

// How the reference was completed.
struct ReferenceRead {
  std::string given;
  std::string canonical;           // "docker.io/library/busybox:latest"
  std::string registry;            // "docker.io"
  std::string repository;          // "library/busybox"
  std::string tag;                 // empty if there is only a digest
  std::string digest;              // if set, it is asked for and the tag is not
  bool default_registry = false;   // no registry was given
  bool default_namespace = false;  // "library/" was added
  bool default_tag = false;        // "latest" was added
};

struct CredentialsRead {
  std::string kind;  // "user name and password", "identity token", "registry token"; empty: none
  std::string host;  // the only one that gets to see them
};

// Where the registry's configuration was looked for.
struct ConfigurationFound {
  std::vector<std::string> looked_for;  // directories in order, to the one that is used
  std::string directory;                // the one that is used; empty: there is none
  std::string hosts_file;  // hosts.toml in it; empty: its certificates in Docker's layout
};

// One of the places that may be asked, in the order of asking.
struct EndpointFound {
  std::string url;                   // root of the API
  bool registry_itself = false;      // else a mirror
  bool only_if_unreachable = false;  // plain HTTP where HTTPS does not answer
  bool can_resolve = true;           // may say what a tag names
  bool can_pull = true;
  std::string ns;  // of ?ns= in each request; empty: not sent
  bool skip_verify = false;
  std::vector<std::string> ca_files;  // trusted besides the system's
  std::string client_certificate;
  std::vector<std::string> headers;  // their names
  int64_t connect_timeout_ms = 0;
  std::string proxy;            // empty: asked directly
  std::string proxy_variable;   // the variable that names a proxy, used or not
  std::string proxy_exception;  // why it is not used
  bool gets_credentials = false;
};

struct EndpointSkipped {
  std::string url;
  std::string reason;
};

// Stands where credentials are named for an Authorization that hosts.toml says to send.
inline constexpr char kConfiguredHeader[] = "header of hosts.toml";

// One HTTP request for a manifest or a blob, and what came back.
struct RequestMade {
  std::string url;
  std::string ns;             // of ?ns=
  std::string authorization;  // "Basic", "Bearer", kConfiguredHeader; empty: none
  int status = 0;             // 0: no answer
  std::string error;          // why there is no answer, or the registry's own words
  std::string media_type;
  std::string digest;  // as the registry names it
  uint64_t size = 0;   // as it says, else of the body
  std::string redirect;
};

struct ChallengeShown {
  std::string scheme;  // lower case
  std::string realm;
  std::string service;
  std::string scope;
};

// A 401, and what it is answered by.
struct ChallengeMet {
  std::string url;
  std::vector<ChallengeShown> challenges;
  std::string answer;  // "basic", "bearer", "token of another request"; empty: nothing
  std::string reason;  // why it is nothing
};

struct TokenRequested {
  std::string url;
  std::string method;
  std::string service;
  std::string scope;
  std::string credentials;  // kind, or kConfiguredHeader; empty: anonymous
  int status = 0;           // 0: no answer
  std::string error;
};

// The same endpoint is asked again after a failure that may pass.
struct RetryAwaited {
  int64_t wait_ms = 0;
};

// An endpoint's last word; the next one is asked, if there is one.
struct EndpointFailed {
  std::string url;
  std::string code;  // "NOT_FOUND"
  std::string message;
};

struct IndexEntryJudged {
  std::string digest;
  std::string media_type;
  uint64_t size = 0;
  std::string platform;  // "linux/arm64/v8"; empty: none named
  bool chosen = false;
  std::string verdict;
};

struct IndexRead {
  std::string digest;
  std::string media_type;
  uint64_t size = 0;
  std::string endpoint;  // that served it; empty: it is here
  std::string platform;  // of this machine
  std::vector<IndexEntryJudged> entries;
};

struct ManifestRead {
  std::string digest;
  std::string media_type;
  uint64_t size = 0;
  std::string endpoint;  // that served it; empty: it is here
};

struct BlobPlanned {
  std::string digest;
  std::string media_type;
  uint64_t size = 0;
  bool here = false;
};

// What a pull would fetch now.
struct PullPlanned {
  std::string image_id;
  bool image_here = false;  // the reference would become one more name of it
  BlobPlanned config;
  bool config_checked = false;      // read for this; else a pull may still find fault with it
  std::vector<BlobPlanned> layers;  // base first
  uint64_t blobs_to_fetch = 0;      // each once
  uint64_t bytes_to_fetch = 0;
};

using PullEvent = std::variant<ReferenceRead, CredentialsRead, ConfigurationFound, EndpointFound,
                               EndpointSkipped, RequestMade, ChallengeMet, TokenRequested,
                               RetryAwaited, EndpointFailed, IndexRead, ManifestRead, PullPlanned>;

// Called on the thread that decides; empty where nobody listens.
using PullTrace = std::function<void(PullEvent)>;

}  // namespace berth::images
