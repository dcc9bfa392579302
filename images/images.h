// SPDX-License-Identifier: Apache-2.0
// Images: from a registry or an archive to root file systems. This is the folder's public header;
// pull_event.h, which it includes, says what a pull tells of itself.
//
// Resolve -> fetch blobs in parallel, verified while streaming -> unpack each layer in a confined
// process -> compare diffID -> commit in one durable transaction. A crash at any point leaves
// either the whole image or nothing but unreferenced files, which Recover removes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/database.h"
#include "base/mount_spec.h"
#include "base/status.h"
#include "images/pull_event.h"

namespace berth::images {

// Credentials for one pull (CRI AuthConfig). Never logged, never stored.
struct AuthConfig {
  std::string username;
  std::string password;
  std::string auth;            // base64("user:password")
  std::string server_address;  // if set, credentials go to that host only
  std::string identity_token;  // OAuth2 refresh token
  std::string registry_token;  // bearer token, sent as is
};

// The parts of an image configuration (OCI image-spec config.md) that a container needs.
struct ImageConfig {
  std::string architecture;
  std::string os;
  std::string user;
  std::vector<std::string> env;  // "K=V"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string working_dir;
  std::string stop_signal;
  std::vector<std::string> volumes;  // paths
  std::vector<std::string> exposed_ports;
  std::vector<std::pair<std::string, std::string>> labels;
};

// An immutable description of one local image.
struct Image {
  std::string id;                         // digest of the image configuration, "sha256:..."
  std::vector<std::string> repo_tags;     // "docker.io/library/busybox:latest"
  std::vector<std::string> repo_digests;  // "docker.io/library/busybox@sha256:..." of what was
                                          // resolved: the index if there was one
  uint64_t size = 0;                      // compressed: manifest + config + layers; never 0
  bool pinned = false;
  ImageConfig config;
  std::string config_json;  // as fetched
  std::vector<std::string> diff_ids;
};

struct PullRequest {
  std::string reference;  // any spelling Docker understands
  std::optional<AuthConfig> auth;
};

struct FsUsage {
  std::string mountpoint;  // the storage root: kubelet calls statfs on it
  uint64_t used_bytes = 0;
  uint64_t inodes_used = 0;
  int64_t timestamp_ns = 0;
};

// Thread safe. Calls that block say so; the others answer from memory.
class ImageService {
 public:
  virtual ~ImageService() = default;

  // Blocks. Always asks the registry for a tag. The same reference pulled concurrently is
  // transferred once. Returns the image ID. Codes: InvalidArgument (bad reference), NotFound (no
  // such image), Unauthenticated / PermissionDenied (401/403), ResourceExhausted (429, disk full:
  // the message says which), Unavailable with a message that starts with "RegistryUnavailable: ",
  // DataLoss (digest or size mismatch, corrupt layer), DeadlineExceeded, Cancelled.
  virtual StatusOr<std::string> Pull(const Context& context, const PullRequest& request) = 0;

  // Blocks. Asks the registry what Pull would ask before the first layer, and tells `trace` what it
  // finds and decides. Fetches no layer, stores nothing, changes nothing. Returns what Pull would
  // return as far as that goes, with the same codes; what `trace` was told before an error holds.
  virtual Status ExplainPull(const Context& context, const PullRequest& request,
                             const PullTrace& trace) = 0;

  // Blocks. Imports an OCI layout (directory or tar) or a docker archive; names come from the
  // archive unless `name` is given. Returns the IDs.
  virtual StatusOr<std::vector<std::string>> Import(const Context& context, const std::string& path,
                                                    const std::string& name) = 0;

  // By ID, unique ID prefix of at least 3 hex digits, tag, digest or any spelling. nullptr if
  // there is none; an empty reference and an ambiguous prefix are InvalidArgument. At once visible
  // after Pull, at once invisible after Remove.
  virtual StatusOr<std::shared_ptr<const Image>> Find(const std::string& reference) const = 0;
  // Everything, sorted by ID. The shared_ptr: the caller and the next snapshot both own it.
  virtual std::vector<std::shared_ptr<const Image>> List() const = 0;

  // Removes all names of the image. Idempotent. Content still used by a container or another
  // image stays until its last user is gone.
  virtual Status Remove(const Context& context, const std::string& reference) = 0;

  // Blocks (walks nothing: counters plus statfs).
  virtual StatusOr<FsUsage> GetFsUsage() = 0;

  // A writable root for a container: makes upper and work directories below the storage root,
  // named after `container_id`. Idempotent: the same ID and image give the same directories with
  // their content. NotFound if the image is gone. The image's content stays while it exists.
  virtual StatusOr<RootfsSpec> PrepareRootfs(const std::string& container_id,
                                             const std::string& image_id) = 0;
  // The layers of an image that the container mounts as a volume, read-only: no upper directory.
  // Idempotent. NotFound if the image is gone. Its content stays until RemoveRootfs of the
  // container.
  virtual StatusOr<RootfsSpec> PrepareVolume(const std::string& container_id,
                                             const std::string& image_id) = 0;
  // Removes what PrepareRootfs made and lets go of its volumes; unknown is OK.
  virtual Status RemoveRootfs(const std::string& container_id) = 0;
  // Bytes and inodes of the writable layer.
  virtual StatusOr<std::pair<uint64_t, uint64_t>> RootfsUsage(const std::string& container_id) = 0;

  // Once at start: drops half-done pulls and rootfs directories whose container is not in
  // `container_ids`.
  virtual Status Recover(const std::vector<std::string>& container_ids) = 0;
};

struct Options {
  std::string root;       // storage root; must exist
  std::string certs_dir;  // <host>/hosts.toml
  // Path or descriptor of the unpacker program; run through posix_spawn.
  std::string unpacker_path;
  int max_concurrent_downloads = 3;  // per pull
  // Caps against hostile images, per layer.
  uint64_t max_layer_bytes = 64ull << 30;
  uint64_t max_layer_inodes = 4'000'000;
  std::vector<std::string> pinned;  // references that Remove by garbage collection spares
};
// The database outlives the service; images/ owns the tables it creates there.
StatusOr<std::unique_ptr<ImageService>> Create(const Options& options, Database* database);

// For tests of other folders, in images/fake.h.
class FakeImageService;

}  // namespace berth::images
