// SPDX-License-Identifier: Apache-2.0
#include "images/service.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/sys.h"
#include "images/layout_source.h"
#include "images/reference.h"

namespace berth::images {
namespace {

// Pulls are joined by what is asked for and by whom: other credentials may see another image.
std::string FlightKey(const Reference& reference, const std::optional<AuthConfig>& auth) {
  std::string key = reference.str();
  if (!auth.has_value()) return key;
  std::string secret;
  for (const std::string* part :
       {&auth->username, &auth->password, &auth->auth, &auth->server_address, &auth->identity_token,
        &auth->registry_token}) {
    absl::StrAppend(&secret, part->size(), ":", *part);
  }
  return absl::StrCat(key, " ", Sha256Of(secret).str());
}

// How the catalog knows a container as the user of a volume. IDs of containers hold no slash.
std::string VolumeUser(const std::string& container_id, const std::string& image_id) {
  return absl::StrCat(container_id, "/", image_id);
}

std::string ContainerOf(const std::string& user) { return user.substr(0, user.find('/')); }

ImageNames NamesOf(const Reference& reference, const Digest& resolved) {
  ImageNames names;
  // A digest pins more than the tag beside it says, which the registry was not asked for.
  if (!reference.digest().has_value()) names.tags.push_back(reference.tagged());
  names.digests.push_back(reference.WithDigest(resolved));
  return names;
}

}  // namespace

StatusOr<std::unique_ptr<ImageService>> Create(const Options& options, Database* database) {
  ASSIGN_OR_RETURN(auto service, Service::Open(options, database));
  return std::unique_ptr<ImageService>(std::move(service));
}

StatusOr<std::unique_ptr<Service>> Service::Open(const Options& options, Database* database) {
  auto service = std::unique_ptr<Service>(new Service(options));
  Service& s = *service;
  ASSIGN_OR_RETURN(s.content_, ContentStore::Open(options.root));
  ASSIGN_OR_RETURN(s.layers_, LayerStore::Open(options.root));
  ASSIGN_OR_RETURN(s.rootfs_, RootfsStore::Open(options.root, s.layers_.get()));
  ASSIGN_OR_RETURN(s.catalog_,
                   Catalog::Open(database, s.content_.get(), s.layers_.get(), options.pinned));
  PullerOptions puller;
  puller.unpacker_path = options.unpacker_path;
  puller.workers = options.max_concurrent_downloads;
  puller.limits = {options.max_layer_bytes, options.max_layer_inodes};
  s.puller_ = std::make_unique<Puller>(puller, s.catalog_.get(), s.content_.get(), s.layers_.get());
  return service;
}

Service::Service(Options options) : options_(std::move(options)) {
  make_client_ = [certs_dir = options_.certs_dir](const Reference& reference,
                                                  const std::optional<AuthConfig>& auth,
                                                  const PullTrace& trace) {
    registry::ClientOptions client;
    client.certs_dir = certs_dir;
    client.trace = trace;
    return registry::Client::Create(client, reference, auth);
  };
}

StatusOr<std::string> Service::Pull(const Context& context, const PullRequest& request) {
  ASSIGN_OR_RETURN(Reference reference, Reference::Parse(request.reference));
  return pulls_.Do(
      context, FlightKey(reference, request.auth),
      [this, reference, auth = request.auth](const Context& inner) -> StatusOr<std::string> {
        ASSIGN_OR_RETURN(std::shared_ptr<registry::Client> client,
                         make_client_(reference, auth, PullTrace()));
        return puller_->Run(inner, client,
                            [&](const Digest& resolved) { return NamesOf(reference, resolved); });
      });
}

Status Service::ExplainPull(const Context& context, const PullRequest& request,
                            const PullTrace& trace) {
  ReferenceDefaults defaults;
  ASSIGN_OR_RETURN(Reference reference, Reference::Parse(request.reference, &defaults));
  trace(ReferenceRead{.given = request.reference,
                      .canonical = reference.str(),
                      .registry = reference.domain(),
                      .repository = reference.path(),
                      .tag = reference.tag(),
                      .digest = reference.digest() ? reference.digest()->str() : "",
                      .default_registry = defaults.registry,
                      .default_namespace = defaults.library,
                      .default_tag = defaults.tag});
  ASSIGN_OR_RETURN(std::unique_ptr<registry::Client> client,
                   make_client_(reference, request.auth, trace));
  return puller_->Explain(context, *client, trace);
}

StatusOr<std::vector<std::string>> Service::Import(const Context& context, const std::string& path,
                                                   const std::string& name) {
  auto fd = sys::Open(path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) return Annotate(fd.status(), "import");
  struct stat info;
  if (fstat(fd->get(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  if (S_ISDIR(info.st_mode)) return ImportDirectory(context, *std::move(fd), name);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("import ", path, ": neither a directory nor a regular file"));
  }
  // The archive is a stranger's tar like any layer, so the same confined process opens it.
  ASSIGN_OR_RETURN(LayerStore::Staging staging, layers_->Begin());
  unpack::Request request;
  request.blob_fd = fd->get();
  request.root_fd = staging.root.get();
  request.implicit_fd = staging.implicit.get();
  request.limits = {options_.max_layer_bytes, options_.max_layer_inodes};
  auto unpacked = unpack::RunUnpacker(context, options_.unpacker_path, request);
  StatusOr<std::vector<std::string>> ids =
      unpacked.ok() ? ImportDirectory(context, std::move(staging.root), name)
                    : StatusOr<std::vector<std::string>>(
                          Annotate(unpacked.status(), absl::StrCat("import ", path)));
  layers_->Discard(staging.number);
  return ids;
}

StatusOr<std::vector<std::string>> Service::ImportDirectory(const Context& context, UniqueFd dir,
                                                            const std::string& name) {
  auto found = OpenLayout(std::move(dir));
  if (!found.ok()) return Annotate(found.status(), "import");
  std::optional<Reference> given;
  if (!name.empty()) {
    ASSIGN_OR_RETURN(given, Reference::Parse(name));
    if (given->digest().has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("import as ", name, ": a digest is no name"));
    }
    if (found->size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat("import as ", name, ": the archive holds ",
                                                     found->size(), " images, not one"));
    }
  }
  std::vector<std::string> ids;
  for (const LayoutImage& image : *found) {
    auto id = puller_->Run(context, image.source, [&](const Digest& resolved) {
      ImageNames names;
      names.tags = given.has_value() ? std::vector<std::string>{given->tagged()} : image.names;
      std::set<std::string> digests;
      for (const std::string& tag : names.tags) {
        auto reference = Reference::Parse(tag);
        // A docker archive has no manifest that a registry would know.
        if (reference.ok() && image.has_digest) digests.insert(reference->WithDigest(resolved));
      }
      names.digests.assign(digests.begin(), digests.end());
      return names;
    });
    if (!id.ok()) return Annotate(id.status(), "import");
    ids.push_back(*std::move(id));
  }
  return ids;
}

StatusOr<std::shared_ptr<const Image>> Service::Find(const std::string& reference) const {
  return catalog_->Find(reference);
}

std::vector<std::shared_ptr<const Image>> Service::List() const { return catalog_->List(); }

Status Service::Remove(const Context& context, const std::string& reference) {
  RETURN_IF_ERROR(context.Check());
  RETURN_IF_ERROR(catalog_->Remove(reference));
  // Who removes images wants their room: it is there when the answer comes.
  layers_->AwaitTrash(context.deadline());
  return absl::OkStatus();
}

StatusOr<FsUsage> Service::GetFsUsage() {
  auto [bytes, inodes] = catalog_->Usage();
  return FsUsage{options_.root, bytes, inodes, absl::GetCurrentTimeNanos()};
}

std::vector<std::string> Service::PathsOf(const ImageRow& row) const {
  std::vector<std::string> paths;
  for (auto it = row.chain.rbegin(); it != row.chain.rend(); ++it) {
    paths.push_back(layers_->PathOf(*it));
  }
  if (paths.empty()) paths.push_back(layers_->EmptyPath());
  return paths;
}

StatusOr<RootfsSpec> Service::PrepareRootfs(const std::string& container_id,
                                            const std::string& image_id) {
  RETURN_IF_ERROR(RootfsStore::CheckId(container_id));
  // The row first: a directory without a row is rubbish to Recover.
  ASSIGN_OR_RETURN(Catalog::ContainerImage image, catalog_->Attach(container_id, image_id));
  DirectoryAttributes root;
  root.mode = image.row.root_mode;
  root.uid = image.row.root_uid;
  root.gid = image.row.root_gid;
  RETURN_IF_ERROR(
      Annotate(rootfs_->Prepare(container_id, root), absl::StrCat("rootfs of ", container_id)));
  RootfsSpec spec;
  spec.lower = PathsOf(image.row);
  spec.upper = rootfs_->UpperOf(container_id);
  spec.work = rootfs_->WorkOf(container_id);
  return spec;
}

StatusOr<RootfsSpec> Service::PrepareVolume(const std::string& container_id,
                                            const std::string& image_id) {
  RETURN_IF_ERROR(RootfsStore::CheckId(container_id));
  ASSIGN_OR_RETURN(Catalog::ContainerImage image,
                   catalog_->Attach(VolumeUser(container_id, image_id), image_id));
  return RootfsSpec{.lower = PathsOf(image.row), .upper = "", .work = ""};
}

Status Service::RemoveRootfs(const std::string& container_id) {
  RETURN_IF_ERROR(rootfs_->Remove(container_id));
  for (const std::string& user : catalog_->Containers()) {
    if (ContainerOf(user) == container_id && user != container_id) {
      RETURN_IF_ERROR(catalog_->Detach(user));
    }
  }
  return catalog_->Detach(container_id);
}

StatusOr<std::pair<uint64_t, uint64_t>> Service::RootfsUsage(const std::string& container_id) {
  return rootfs_->Usage(container_id);
}

Status Service::Recover(const std::vector<std::string>& container_ids) {
  const std::set<std::string> alive(container_ids.begin(), container_ids.end());
  ASSIGN_OR_RETURN(auto directories, rootfs_->List());
  for (const std::string& id : directories) {
    if (!alive.contains(id)) RETURN_IF_ERROR(layers_->Trash("containers", id));
  }
  for (const std::string& id : catalog_->Containers()) {
    if (!alive.contains(ContainerOf(id))) RETURN_IF_ERROR(catalog_->Detach(id));
  }
  return catalog_->Sweep();
}

}  // namespace berth::images
