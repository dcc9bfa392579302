// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sandbox/spec_builder.h"
#include "sandbox/user_namespace.h"

namespace berth::sandbox {

namespace spec = runtime::spec;

namespace {

Status AddMountOptions(const Mount& in, const std::string& field, spec::Mount* out) {
  for (const std::string& option : in.mount_options) {
    if (option != "noexec" && option != "nodev" && option != "nosuid") {
      return absl::InvalidArgumentError(absl::StrCat(field, ".mount_options: \"", option,
                                                     "\" is not one of noexec, nodev, nosuid"));
    }
    out->options.push_back(option);
  }
  return absl::OkStatus();
}

// Type and source are of our own making: the runtime mounts the layers that the manager gives it
// for this image, with the owners of the pod's user namespace.
StatusOr<spec::Mount> ImageMount(const Mount& in, const std::string& field,
                                 const StringMap& volume_images) {
  if (!in.host_path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".host_path: must be empty for a mount of an image"));
  }
  if (!in.readonly) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".readonly: must be true for a mount of an image"));
  }
  if (in.propagation != Propagation::kPrivate) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".propagation: must be private for a mount of an image"));
  }
  spec::Mount out;
  ASSIGN_OR_RETURN(out.destination, CleanPath(in.container_path, field + ".container_path"));
  out.type = spec::kImageMount;
  auto id = volume_images.find(in.image->image);
  if (id == volume_images.end()) {
    return absl::NotFoundError(absl::StrCat("ImageVolumeMountFailed: ", field, ".image: \"",
                                            in.image->image, "\" is not a local image"));
  }
  out.source = id->second;
  out.options = {"ro"};
  RETURN_IF_ERROR(AddMountOptions(in, field, &out));
  if (!in.image_sub_path.empty()) out.options.push_back("subpath=" + in.image_sub_path);
  return out;
}

StatusOr<spec::Mount> BindMount(const Mount& in, size_t index, const StringMap& volume_images) {
  std::string field = absl::StrCat("config.mounts[", index, "]");
  if (in.container_path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ".container_path: empty"));
  }
  if (in.image.has_value()) return ImageMount(in, field, volume_images);
  if (in.host_path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ".host_path: empty"));
  }
  if (!in.host_path.starts_with("/")) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".host_path: \"", in.host_path, "\" is not absolute"));
  }
  spec::Mount out;
  ASSIGN_OR_RETURN(out.destination, CleanPath(in.container_path, field + ".container_path"));
  out.type = "bind";
  out.source = in.host_path;
  out.options = {"rbind"};
  switch (in.propagation) {
    case Propagation::kPrivate:
      out.options.emplace_back("rprivate");
      break;
    case Propagation::kHostToContainer:
      out.options.emplace_back("rslave");
      break;
    case Propagation::kBidirectional:
      out.options.emplace_back("rshared");
      break;
    default:
      return absl::InvalidArgumentError(absl::StrCat(field, ".propagation: unknown value"));
  }
  if (in.recursive_read_only) {
    if (!in.readonly) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".recursive_read_only: needs readonly"));
    }
    if (in.propagation != Propagation::kPrivate) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".recursive_read_only: needs private propagation"));
    }
    out.options.emplace_back("rro");
  } else {
    out.options.emplace_back(in.readonly ? "ro" : "rw");
  }
  RETURN_IF_ERROR(AddMountOptions(in, field, &out));
  out.uid_mappings = SpecMappings(in.uid_mappings);
  out.gid_mappings = SpecMappings(in.gid_mappings);
  return out;
}

size_t Depth(const std::string& path) {
  return static_cast<size_t>(std::count(path.begin(), path.end(), '/')) - (path == "/" ? 1 : 0);
}

bool IsBelow(const std::string& path, const std::string& directory) {
  return path.starts_with(directory + "/");
}

// A user namespace may mount its own sysfs only of a network namespace that it owns; and the group
// of terminals may lie beyond its IDs.
void AdaptToUserNamespace(const PodConfig& pod, std::vector<spec::Mount>& mounts) {
  constexpr uint32_t kTerminalGroup = 5;
  for (spec::Mount& mount : mounts) {
    if (mount.type == "devpts" && MappedGids(pod) <= kTerminalGroup) {
      std::erase(mount.options, "gid=5");
    }
    if (mount.type == "sysfs" && pod.security.namespaces.network == NamespaceMode::kNode) {
      mount = {"/sys", "bind", "/sys", {"bind", "rprivate", "nosuid", "noexec", "nodev", "ro"},
               {},     {}};
    }
  }
}

std::vector<spec::Mount> DefaultMounts(const SpecInput& input) {
  const ContainerSecurity& security = input.container->security;
  const std::string rw = security.privileged ? "rw" : "ro";
  std::vector<spec::Mount> mounts = {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}, {}, {}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, {}, {}},
      {"/dev/pts",
       "devpts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
       {},
       {}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}, {}, {}},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", rw}, {}, {}},
      {"/sys/fs/cgroup",
       "cgroup",
       "cgroup",
       {"nosuid", "noexec", "nodev", "relatime", input.handler->cgroup_writable ? "rw" : rw},
       {},
       {}},
  };
  if (HasUserNamespace(*input.pod)) AdaptToUserNamespace(*input.pod, mounts);
  // The runtime puts the pod's shared memory here, or the host's with its IPC namespace.
  if (input.pod->security.namespaces.ipc == NamespaceMode::kNode) {
    mounts.push_back({"/dev/shm", "bind", "/dev/shm", {"rbind", "rprivate", "rw"}, {}, {}});
  } else {
    mounts.push_back({"/dev/shm",
                      "tmpfs",
                      "shm",
                      {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"},
                      {},
                      {}});
  }
  const std::string files_mode = security.readonly_rootfs ? "ro" : "rw";
  for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
    mounts.push_back({std::string("/etc/") + name,
                      "bind",
                      input.pod_dir + "/" + name,
                      {"rbind", "rprivate", files_mode},
                      {},
                      {}});
  }
  return mounts;
}

// Device nodes that are not wanted below /dev, where each container has nodes of its own.
void AddDeviceMounts(const SpecInput& input, std::vector<spec::Mount>* mounts) {
  for (const auto& [device, permissions] : input.devices) {
    if (device.path.starts_with("/dev/")) continue;
    mounts->push_back({device.path,
                       "bind",
                       device.host_path,
                       {"bind", "rprivate", "rw", "nosuid", "noexec"},
                       {},
                       {}});
  }
}

// What the image declares as volumes, unless something is mounted there anyway.
Status AddImageVolumes(const images::ImageConfig& image, std::vector<spec::Mount>* mounts) {
  std::vector<spec::Mount> volumes;
  for (const std::string& declared : image.volumes) {
    ASSIGN_OR_RETURN(std::string path, CleanPath(declared, "image configuration: Volumes"));
    const bool covered = std::any_of(mounts->begin(), mounts->end(), [&](const spec::Mount& m) {
      return m.destination == path || IsBelow(path, m.destination);
    });
    if (path == "/" || covered) continue;
    volumes.push_back({path, spec::kVolumeMount, "volume", {}, {}, {}});
  }
  mounts->insert(mounts->end(), volumes.begin(), volumes.end());
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::string> CleanPath(const std::string& path, std::string_view field) {
  std::string out;
  size_t at = 0;
  while (at < path.size()) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat(std::string(field), ": \"", path, "\" holds \"..\""));
    }
    out += "/" + part;
  }
  return out.empty() ? std::string("/") : out;
}

StatusOr<std::vector<spec::Mount>> BuildMounts(const SpecInput& input) {
  std::vector<spec::Mount> mounts = DefaultMounts(input);
  std::vector<spec::Mount> requested;
  for (size_t i = 0; i < input.container->mounts.size(); ++i) {
    ASSIGN_OR_RETURN(spec::Mount mount,
                     BindMount(input.container->mounts[i], i, input.volume_images));
    if (mount.destination == "/") {
      return absl::InvalidArgumentError(
          absl::StrCat("config.mounts[", i, "].container_path: nothing can be mounted on /"));
    }
    // It takes the place of a default; another /dev brings its own devices, terminals and so on.
    std::erase_if(mounts, [&](const spec::Mount& m) {
      return m.destination == mount.destination ||
             (mount.destination == "/dev" && IsBelow(m.destination, "/dev"));
    });
    requested.push_back(std::move(mount));
  }
  mounts.insert(mounts.end(), requested.begin(), requested.end());
  AddDeviceMounts(input, &mounts);
  RETURN_IF_ERROR(AddImageVolumes(*input.image, &mounts));
  // Parents before children, so that what lies inside another mount is seen.
  std::stable_sort(mounts.begin(), mounts.end(), [](const auto& a, const auto& b) {
    return Depth(a.destination) < Depth(b.destination);
  });
  return mounts;
}

}  // namespace berth::sandbox
