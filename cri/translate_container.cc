// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_container.h"

#include "absl/strings/match.h"
#include "base/json.h"
#include "cri/translate_resources.h"
#include "cri/translate_security.h"
#include "cri/utf8.h"

namespace berth::cri {
namespace {

// The kernel's limit for one entry of the environment, its final NUL included.
constexpr size_t kMaxEnvironment = 128 << 10;

Status CheckMount(const v1::Mount& mount, const std::string& path) {
  if (mount.container_path().empty()) {
    return Invalid(path, "container_path", "must not be empty");
  }
  // A relative path is taken from the root.
  const bool relative = mount.container_path()[0] != '/';
  RETURN_IF_ERROR(CheckContainerPath(absl::StrCat(relative ? "/" : "", mount.container_path()),
                                     Join(path, "container_path")));
  if (!v1::MountPropagation_IsValid(mount.propagation())) {
    return Invalid(path, "propagation",
                   absl::StrCat("unknown propagation ", static_cast<int>(mount.propagation())));
  }
  if (mount.has_image()) {
    if (!mount.host_path().empty()) {
      return Invalid(path, "host_path", "must be empty for a mount of an image");
    }
    if (!mount.readonly()) return Invalid(path, "readonly", "must be true for a mount of an image");
  } else {
    if (mount.host_path().empty()) return Invalid(path, "host_path", "must not be empty");
    if (mount.host_path()[0] != '/') {
      return Invalid(path, "host_path",
                     absl::StrCat("\"", mount.host_path(), "\" is not an absolute path"));
    }
    if (!mount.image_sub_path().empty()) return Invalid(path, "image_sub_path", "needs image");
  }
  if (mount.recursive_read_only()) {
    if (!mount.readonly()) return Invalid(path, "recursive_read_only", "needs readonly");
    if (mount.propagation() != v1::PROPAGATION_PRIVATE) {
      return Invalid(path, "recursive_read_only", "needs private propagation");
    }
  }
  for (int i = 0; i < mount.mount_options_size(); ++i) {
    const std::string& option = mount.mount_options(i);
    if (option != "noexec" && option != "nodev" && option != "nosuid") {
      return Invalid(At(path, "mount_options", i), "",
                     absl::StrCat("\"", option, "\" is not one of noexec, nodev, nosuid"));
    }
  }
  return absl::OkStatus();
}

StatusOr<sandbox::Mount> FromMount(const v1::Mount& from, const std::string& path) {
  RETURN_IF_ERROR(CheckMount(from, path));
  sandbox::Mount to;
  to.container_path = from.container_path();
  to.host_path = from.host_path();
  to.readonly = from.readonly();
  to.selinux_relabel = from.selinux_relabel();
  to.propagation = static_cast<sandbox::Propagation>(from.propagation());
  to.uid_mappings = FromIdMappings(from.uidmappings());
  to.gid_mappings = FromIdMappings(from.gidmappings());
  to.recursive_read_only = from.recursive_read_only();
  if (from.has_image()) {
    ASSIGN_OR_RETURN(to.image, FromImageSpec(from.image(), Join(path, "image")));
  }
  to.image_sub_path = from.image_sub_path();
  to.mount_options = FromStrings(from.mount_options());
  return to;
}

void ToMount(const sandbox::Mount& from, v1::Mount* to) {
  to->set_container_path(from.container_path);
  to->set_host_path(from.host_path);
  to->set_readonly(from.readonly);
  to->set_selinux_relabel(from.selinux_relabel);
  to->set_propagation(static_cast<v1::MountPropagation>(from.propagation));
  ToIdMappings(from.uid_mappings, to->mutable_uidmappings());
  ToIdMappings(from.gid_mappings, to->mutable_gidmappings());
  to->set_recursive_read_only(from.recursive_read_only);
  if (from.image.has_value()) ToImageSpec(*from.image, to->mutable_image());
  to->set_image_sub_path(from.image_sub_path);
  for (const std::string& option : from.mount_options) to->add_mount_options(option);
}

StatusOr<sandbox::Device> FromDevice(const v1::Device& from, const std::string& path) {
  if (from.host_path().empty()) return Invalid(path, "host_path", "must not be empty");
  if (from.host_path()[0] != '/') {
    return Invalid(path, "host_path",
                   absl::StrCat("\"", from.host_path(), "\" is not an absolute path"));
  }
  if (!from.container_path().empty()) {
    RETURN_IF_ERROR(CheckContainerPath(from.container_path(), Join(path, "container_path")));
  }
  if (from.permissions().find_first_not_of("rwm") != std::string::npos) {
    return Invalid(path, "permissions",
                   absl::StrCat("\"", from.permissions(), "\" has others than r, w and m"));
  }
  return sandbox::Device{from.container_path(), from.host_path(), from.permissions()};
}

Status CheckEnv(const v1::KeyValue& env, const std::string& path) {
  if (env.key().empty()) return Invalid(path, "key", "must not be empty");
  if (absl::StrContains(env.key(), '=')) {
    return Invalid(path, "key", absl::StrCat("\"", env.key(), "\" contains ="));
  }
  if (env.value().find('\0') != std::string::npos) {
    return Invalid(path, "value", absl::StrCat("that of ", env.key(), " contains a NUL byte"));
  }
  if (env.key().size() + 1 + env.value().size() >= kMaxEnvironment) {
    return Invalid(path, "value",
                   absl::StrCat("with its key ", env.key().size() + 1 + env.value().size(),
                                " bytes; a program gets less than ", kMaxEnvironment));
  }
  return absl::OkStatus();
}

Status CheckLogPath(const std::string& log_path, const std::string& path) {
  if (log_path.empty()) return absl::OkStatus();
  if (log_path[0] == '/') {
    return Invalid(path, "log_path", absl::StrCat("\"", log_path, "\" is not a relative path"));
  }
  if (Climbs(log_path)) {
    return Invalid(path, "log_path", absl::StrCat("\"", log_path, "\" contains .."));
  }
  return absl::OkStatus();
}

// Mounts, devices and the environment.
Status FromLists(const v1::ContainerConfig& from, const std::string& path,
                 sandbox::ContainerConfig* to) {
  to->envs.reserve(static_cast<size_t>(from.envs_size()));
  for (int i = 0; i < from.envs_size(); ++i) {
    RETURN_IF_ERROR(CheckEnv(from.envs(i), At(path, "envs", i)));
    to->envs.emplace_back(from.envs(i).key(), from.envs(i).value());
  }
  to->mounts.reserve(static_cast<size_t>(from.mounts_size()));
  for (int i = 0; i < from.mounts_size(); ++i) {
    ASSIGN_OR_RETURN(sandbox::Mount mount, FromMount(from.mounts(i), At(path, "mounts", i)));
    to->mounts.push_back(std::move(mount));
  }
  for (int i = 0; i < from.devices_size(); ++i) {
    ASSIGN_OR_RETURN(sandbox::Device device, FromDevice(from.devices(i), At(path, "devices", i)));
    to->devices.push_back(std::move(device));
  }
  for (int i = 0; i < from.cdi_devices_size(); ++i) {
    if (from.cdi_devices(i).name().empty()) {
      return Invalid(At(path, "CDI_devices", i), "name", "must not be empty");
    }
    to->cdi_devices.push_back(from.cdi_devices(i).name());
  }
  return absl::OkStatus();
}

void ToImage(const sandbox::ContainerStatus& from, v1::ImageSpec* to) {
  if (from.config.image.has_value()) ToImageSpec(*from.config.image, to);
  to->set_image(from.image_name);
}

void ToMetadata(const sandbox::ContainerConfig& config, v1::ContainerMetadata* to) {
  if (!config.metadata.has_value()) return;
  to->set_name(config.metadata->name);
  to->set_attempt(config.metadata->attempt);
}

}  // namespace

StatusOr<sandbox::ContainerConfig> FromContainerConfig(const v1::ContainerConfig& from,
                                                       const std::string& path) {
  sandbox::ContainerConfig to;
  if (!from.has_metadata()) return Invalid(path, "metadata", "must be set");
  if (from.metadata().name().empty()) return Invalid(path, "metadata.name", "must not be empty");
  to.metadata = sandbox::ContainerMetadata{from.metadata().name(), from.metadata().attempt()};
  if (!from.has_image()) return Invalid(path, "image", "must be set");
  ASSIGN_OR_RETURN(to.image, FromImageSpec(from.image(), Join(path, "image")));
  to.command = FromStrings(from.command());
  to.args = FromStrings(from.args());
  if (from.working_dir().size() >= kMaxPath) {
    return Invalid(path, "working_dir", absl::StrCat("longer than ", kMaxPath - 1, " bytes"));
  }
  to.working_dir = from.working_dir();
  RETURN_IF_ERROR(FromLists(from, path, &to));
  to.labels = FromMap(from.labels());
  to.annotations = FromMap(from.annotations());
  RETURN_IF_ERROR(CheckLogPath(from.log_path(), path));
  to.log_path = from.log_path();
  to.stdin_open = from.stdin();
  to.stdin_once = from.stdin_once();
  to.tty = from.tty();
  ASSIGN_OR_RETURN(to.stop_signal, FromSignal(from.stop_signal(), path));
  if (from.has_linux()) {
    const std::string linux_path = Join(path, "linux");
    to.has_linux = true;
    ASSIGN_OR_RETURN(to.resources,
                     FromResources(from.linux().resources(), Join(linux_path, "resources")));
    ASSIGN_OR_RETURN(to.security, FromContainerSecurity(from.linux().security_context(),
                                                        Join(linux_path, "security_context")));
  }
  return to;
}

StatusOr<sandbox::ContainerFilter> FromContainerFilter(const v1::ContainerFilter& from,
                                                       const std::string& path) {
  sandbox::ContainerFilter to;
  to.id = from.id();
  to.pod_id = from.pod_sandbox_id();
  if (from.has_state()) {
    if (!v1::ContainerState_IsValid(from.state().state())) {
      return Invalid(path, "state.state",
                     absl::StrCat("unknown state ", static_cast<int>(from.state().state())));
    }
    to.state = static_cast<sandbox::ContainerState>(from.state().state());
  }
  to.labels = FromMap(from.label_selector());
  return to;
}

void ToContainerStatus(const sandbox::ContainerStatus& from, v1::ContainerStatus* to) {
  to->set_id(from.id);
  ToMetadata(from.config, to->mutable_metadata());
  to->set_state(static_cast<v1::ContainerState>(from.state));
  to->set_created_at(from.created_at_ns);
  to->set_started_at(from.started_at_ns);
  to->set_finished_at(from.finished_at_ns);
  to->set_exit_code(from.exit_code);
  ToImage(from, to->mutable_image());
  to->set_image_ref(from.image_ref);
  to->set_reason(from.reason);
  to->set_message(ToUtf8(from.message));  // may quote a path of the container
  ToMap(from.config.labels, to->mutable_labels());
  ToMap(from.config.annotations, to->mutable_annotations());
  for (const sandbox::Mount& mount : from.config.mounts) ToMount(mount, to->add_mounts());
  to->set_log_path(from.log_path);
  ToResources(from.resources, to->mutable_resources()->mutable_linux());
  to->set_image_id(from.image_id);
  v1::LinuxContainerUser* user = to->mutable_user()->mutable_linux();
  user->set_uid(from.user.uid);
  user->set_gid(from.user.gid);
  for (int64_t group : from.user.supplemental_groups) user->add_supplemental_groups(group);
  to->set_stop_signal(ToSignal(from.stop_signal));
}

void ToContainer(const sandbox::ContainerStatus& from, v1::Container* to) {
  to->set_id(from.id);
  to->set_pod_sandbox_id(from.pod_id);
  ToMetadata(from.config, to->mutable_metadata());
  ToImage(from, to->mutable_image());
  to->set_image_ref(from.image_ref);
  to->set_state(static_cast<v1::ContainerState>(from.state));
  to->set_created_at(from.created_at_ns);
  ToMap(from.config.labels, to->mutable_labels());
  ToMap(from.config.annotations, to->mutable_annotations());
  to->set_image_id(from.image_id);
}

std::string ContainerInfoJson(const sandbox::ContainerStatus& status) {
  constexpr size_t kMaxSpec = 4 << 20;
  json::Object info;
  info["sandboxID"] = status.pod_id;
  info["pid"] = status.pid;
  info["imageID"] = status.image_id;
  if (!status.spec_json.empty()) {
    // Environment values are bytes; JSON is not.
    StatusOr<json::Value> spec = json::Parse(ToUtf8(status.spec_json), kMaxSpec, "spec");
    if (spec.ok()) info["runtimeSpec"] = *std::move(spec);
  }
  return ToUtf8(json::Serialize(info));
}

}  // namespace berth::cri
