// SPDX-License-Identifier: Apache-2.0
#include "runtime/container_sources.h"

#include <fcntl.h>

#include <utility>

#include "base/sys.h"
#include "runtime/mount/bind_source.h"
#include "runtime/mount/detached.h"
#include "runtime/mount/dev_tree.h"
#include "runtime/mount/image_volume.h"
#include "runtime/mount/rootfs.h"
#include "runtime/plan/mount_options.h"

namespace berth::runtime {
namespace {

// R4: procfs and sysfs go where the image has a directory, not where one of its links points.
Status CheckRealDirectory(int root, const std::string& path, const std::string& type) {
  StatusOr<UniqueFd> fd =
      sys::OpenAt2(root, path, O_PATH | O_DIRECTORY,
                   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
  if (fd.ok() || fd.status().code() == absl::StatusCode::kNotFound) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("mount ", path, ": the image has no directory ",
                                                    "there for ", type, " but a link or a file"));
}

}  // namespace

StatusOr<ContainerSources> ContainerSources::Open(const ContainerSetup& setup,
                                                  const MountVault& vault, int user_namespace) {
  ContainerSources sources;
  const spec::Linux& os = setup.spec.linux;
  const UserNamespaceFd user = {user_namespace, spec::HostId(os.uid_mappings, 0),
                                spec::HostId(os.gid_mappings, 0)};
  ASSIGN_OR_RETURN(sources.root_,
                   MountRootfs(setup.rootfs, OverlayMethod::kBest, user, os.mount_label));
  std::vector<UniqueFd> fds;
  MountOptions dev_options;
  dev_options.data = {"mode=755", "size=65536k"};
  dev_options.set = MOUNT_ATTR_NOSUID;
  sources.has_dev_ = true;
  for (const spec::Mount& mount : setup.spec.mounts) {
    ASSIGN_OR_RETURN(MountOptions options, ParseMountOptions(mount));
    ASSIGN_OR_RETURN(std::string path, CleanDestination(mount.destination));
    Role role;
    if (options.bind) {
      ASSIGN_OR_RETURN(BindSource source, OpenBindSource(mount, options, user_namespace));
      role = {.opened = true, .directory = source.directory};
      fds.push_back(std::move(source.mount));
      // A host's /dev instead of ours.
      if (path == "/dev") sources.has_dev_ = false;
    } else if (mount.type == spec::kImageMount) {
      auto image = setup.images.find(mount.source);
      if (image == setup.images.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("mount ", mount.destination, ": no image ", mount.source));
      }
      ASSIGN_OR_RETURN(ImageVolume volume,
                       OpenImageVolume(mount, options, image->second, user, os.mount_label));
      role = {.opened = true, .directory = volume.directory};
      fds.push_back(std::move(volume.mount));
      if (path == "/dev") sources.has_dev_ = false;
    } else if (path == "/dev/shm" && mount.type == "tmpfs" && !setup.host_ipc) {
      StatusOr<UniqueFd> shm = vault.Clone(setup.pod_id);
      if (!shm.ok()) return Annotate(shm.status(), "mount /dev/shm");
      role.opened = true;
      fds.push_back(*std::move(shm));
    } else if (path == "/dev") {
      dev_options = options;
    } else if (mount.type == "proc" || mount.type == "sysfs") {
      RETURN_IF_ERROR(CheckRealDirectory(sources.root(), path, mount.type));
    }
    sources.mounts_.push_back(role);
  }
  if (sources.has_dev_) {
    AddMountLabel(os.mount_label, &dev_options);
    const DevOwner owner = {user.root_uid, user.root_gid};
    const bool console = setup.spec.process.has_value() && setup.spec.process->terminal;
    ASSIGN_OR_RETURN(UniqueFd dev,
                     MakeDevTree(setup.spec.linux.devices, console, dev_options, owner));
    fds.push_back(std::move(dev));
  }
  ASSIGN_OR_RETURN(UniqueFd dev_null, NewDevNull());
  fds.push_back(std::move(dev_null));
  ASSIGN_OR_RETURN(sources.parked_, ParkedFds::Park(std::move(fds)));
  return sources;
}

StatusOr<ContainerSources::Opened> ContainerSources::Take() {
  Opened opened;
  ASSIGN_OR_RETURN(opened.owned, parked_.Take());
  size_t next = 0;
  for (const Role& role : mounts_) {
    opened.mounts.push_back(
        OpenedMount{role.opened ? opened.owned[next++].get() : wire::kNoFd, role.directory});
  }
  if (has_dev_) opened.dev = opened.owned[next++].get();
  opened.dev_null = opened.owned[next].get();
  opened.root = root_.get();
  opened.owned.push_back(std::move(root_));
  return opened;
}

}  // namespace berth::runtime
