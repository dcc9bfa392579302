// SPDX-License-Identifier: Apache-2.0
// CreateContainer: record -> writable root -> user and specification -> runtime -> created.
#include <fcntl.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "base/id.h"
#include "images/images.h"
#include "runtime/security/user.h"
#include "sandbox/host_devices.h"
#include "sandbox/manager_impl.h"
#include "sandbox/pod_files.h"
#include "sandbox/resource_class.h"
#include "sandbox/signals.h"
#include "sandbox/spec_builder.h"
#include "sandbox/user_namespace.h"

namespace berth::sandbox {
namespace {

Status ValidateContainer(const ContainerConfig& config) {
  if (!config.metadata.has_value()) return absl::InvalidArgumentError("config.metadata: missing");
  if (config.metadata->name.empty()) {
    return absl::InvalidArgumentError("config.metadata.name: empty");
  }
  if (!config.image.has_value() || config.image->image.empty()) {
    return absl::InvalidArgumentError("config.image.image: empty");
  }
  const ContainerSecurity& security = config.security;
  if (security.run_as_user.has_value() && !security.run_as_username.empty()) {
    return absl::InvalidArgumentError(
        "config.linux.security_context: run_as_user and run_as_username exclude each other");
  }
  if (security.run_as_group.has_value() && !security.run_as_user.has_value() &&
      security.run_as_username.empty()) {
    return absl::InvalidArgumentError(
        "config.linux.security_context.run_as_group: given without run_as_user or run_as_username");
  }
  RETURN_IF_ERROR(CheckSelinuxOptions(security.selinux));
  RETURN_IF_ERROR(CheckMemoryLimit(config.resources, "config.linux.resources"));
  if (!config.cdi_devices.empty()) {
    return absl::UnimplementedError("config.CDI_devices: CDI is not supported");
  }
  for (size_t i = 0; i < config.envs.size(); ++i) {
    const std::string& name = config.envs[i].first;
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos ||
        config.envs[i].second.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.envs[", i, "]: bad name, or a NUL byte"));
    }
  }
  for (const std::string& part : {config.log_path}) {
    if (part.starts_with("/") || part == ".." || part.starts_with("../") ||
        part.find("/../") != std::string::npos || part.ends_with("/..")) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.log_path: \"", part, "\" leaves the log directory"));
    }
  }
  return absl::OkStatus();
}

// What the container asks for, and all of the host's where it is privileged.
StatusOr<std::vector<std::pair<HostDevice, std::string>>> DevicesOf(const ContainerConfig& config,
                                                                    const Handler& handler,
                                                                    const PodConfig& pod) {
  const ContainerSecurity& security = config.security;
  ASSIGN_OR_RETURN(auto devices, FindDevices(config.devices));
  if (handler.device_ownership_from_security_context) {
    const auto [uid, gid] = HostRoot(pod);
    for (auto& [device, permissions] : devices) {
      if (security.run_as_user) device.uid = uid + static_cast<uint32_t>(*security.run_as_user);
      if (security.run_as_group) device.gid = gid + static_cast<uint32_t>(*security.run_as_group);
    }
  }
  if (!security.privileged || handler.privileged_without_host_devices) return devices;
  ASSIGN_OR_RETURN(auto all, AllHostDevices());
  std::set<std::string> taken;
  for (const auto& [device, permissions] : devices) taken.insert(device.path);
  for (auto& found : all) {
    if (!taken.contains(found.first.path)) devices.push_back(std::move(found));
  }
  return devices;
}

bool IsImageId(const std::string& reference) {
  std::string_view text = reference;
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  return text.size() >= 3 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// The digest by which the name's repository knows the image, else any, else the ID.
std::string ChooseImageRef(const images::Image& image, const std::string& name) {
  for (const std::string& ref : image.repo_digests) {
    std::string repository = ref.substr(0, ref.find('@'));
    for (const std::string& tag : image.repo_tags) {
      if (tag == name && tag.starts_with(repository + ":")) return ref;
    }
    if (name.starts_with(repository)) return ref;
  }
  return image.repo_digests.empty() ? image.id : image.repo_digests.front();
}

}  // namespace

StatusOr<std::string> ManagerImpl::CreateContainer(const Context& context,
                                                   const std::string& pod_id,
                                                   const ContainerConfig& config) {
  ASSIGN_OR_RETURN(Store::Pod pod, store_->FindPod(pod_id));
  RETURN_IF_ERROR(ValidateContainer(config));
  RETURN_IF_ERROR(context.Check());
  const ContainerMetadata& metadata = *config.metadata;
  const std::string key =
      absl::StrCat("create container ", pod->id, " ", metadata.name, "_", metadata.attempt);
  return operations_.RunOrJoin(context, key, [&]() -> StatusOr<std::string> {
    auto live = live_pods_.Get(pod->id);
    absl::ReaderMutexLock lock(&live->operation);
    ASSIGN_OR_RETURN(Store::Pod now, store_->FindPod(pod->id));
    if (now->state != PodState::kReady || now->phase != Phase::kLive) {
      return absl::FailedPreconditionError(absl::StrCat("pod sandbox ", now->id, ": not ready"));
    }
    for (const Store::Container& have : store_->ContainersOf(now->id)) {
      if (have->config.metadata->name != metadata.name ||
          have->config.metadata->attempt != metadata.attempt) {
        continue;
      }
      if (have->phase == Phase::kLive && have->state == ContainerState::kCreated) return have->id;
      return absl::AlreadyExistsError(absl::StrCat("container ", metadata.name, " attempt ",
                                                   metadata.attempt, ": exists as ", have->id));
    }
    RETURN_IF_ERROR(CheckResourceClasses(now->config, config));
    return MakeContainer(*now, config);
  });
}

Status ManagerImpl::FillFromImage(const PodRecord& pod, const ContainerConfig& config,
                                  ContainerRecord* record,
                                  std::shared_ptr<const images::Image>* image) {
  ASSIGN_OR_RETURN(*image, images_->Find(config.image->image));
  if (*image == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("config.image.image: \"", config.image->image, "\" is not a local image"));
  }
  const std::string& asked = config.image->user_specified_image.empty()
                                 ? config.image->image
                                 : config.image->user_specified_image;
  record->image_id = (*image)->id;
  record->image_ref = ChooseImageRef(**image, asked);
  record->image_name = asked;
  if (IsImageId(asked) && !(*image)->repo_tags.empty()) {
    record->image_name = (*image)->repo_tags.front();
  }
  std::string signal =
      config.stop_signal.empty() ? (*image)->config.stop_signal : config.stop_signal;
  if (signal.empty()) signal = "SIGTERM";
  ASSIGN_OR_RETURN(int number, SignalNumber(signal));
  record->stop_signal = SignalName(number);
  if (!pod.config.log_directory.empty() && !config.log_path.empty()) {
    record->log_path = absl::StrCat(pod.config.log_directory, "/", config.log_path);
  }
  return absl::OkStatus();
}

StatusOr<StringMap> ManagerImpl::HoldVolumeImages(ContainerRecord* record) {
  StringMap ids;
  for (Mount& mount : record->config.mounts) {
    if (!mount.image.has_value()) continue;
    ASSIGN_OR_RETURN(std::shared_ptr<const images::Image> image, images_->Find(mount.image->image));
    if (image == nullptr) continue;
    RETURN_IF_ERROR(
        Annotate(images_->PrepareVolume(record->id, image->id).status(), "ImageVolumeMountFailed"));
    ids[mount.image->image] = image->id;
    mount.image->image_ref = ChooseImageRef(*image, mount.image->user_specified_image.empty()
                                                        ? mount.image->image
                                                        : mount.image->user_specified_image);
  }
  return ids;
}

Status ManagerImpl::BuildRecordSpec(const PodRecord& pod, const images::Image& image,
                                    const RootfsSpec& rootfs, ContainerRecord* record) {
  const ContainerSecurity& security = record->config.security;
  ASSIGN_OR_RETURN(UniqueFd root, runtime_->OpenImageRoot(rootfs));
  runtime::UserRequest request;
  request.image_user = image.config.user;
  request.run_as_user = security.run_as_user;
  request.run_as_username = security.run_as_username;
  request.run_as_group = security.run_as_group;
  request.supplemental_groups = security.supplemental_groups;
  request.strict_groups = security.groups_policy == GroupsPolicy::kStrict;
  const bool asked = security.run_as_user.has_value() || !security.run_as_username.empty();
  StatusOr<runtime::ResolvedUser> resolved = runtime::ResolveUser(root.get(), request);
  if (!resolved.ok()) {
    return Annotate(resolved.status(),
                    asked ? "config.linux.security_context" : "user of the image");
  }
  const runtime::ResolvedUser& user = *resolved;
  record->user.uid = user.uid;
  record->user.gid = user.gid;
  record->user.supplemental_groups.assign(user.additional_gids.begin(), user.additional_gids.end());
  SpecInput input;
  input.container_id = record->id;
  input.pod_id = pod.id;
  input.pod = &pod.config;
  input.container = &record->config;
  input.image = &image.config;
  ASSIGN_OR_RETURN(input.handler, HandlerOf(pod));
  input.hostname = HostnameOf(pod.id, pod.config);
  input.user = record->user;
  input.home = user.home;
  input.pod_dir = PodDir(pod.id);
  input.cgroup_parent =
      pod.config.cgroup_parent.empty() ? "/" + options_.instance : pod.config.cgroup_parent;
  {
    auto live = live_pods_.Get(pod.id);
    absl::MutexLock lock(&live->state);
    input.netns_path = live->netns_path;
  }
  ASSIGN_OR_RETURN(input.devices, DevicesOf(record->config, *input.handler, pod.config));
  ASSIGN_OR_RETURN(input.volume_images, HoldVolumeImages(record));
  ASSIGN_OR_RETURN(const LabelsRecord labels, LabelsOf(pod, record->config));
  input.process_label = labels.process;
  input.mount_label = labels.mount;
  ASSIGN_OR_RETURN(runtime::spec::Spec spec, BuildSpec(input));
  record->spec_json = runtime::spec::ToJson(spec);
  // Seccomp is read anew at each use; a bad profile must show now.
  RETURN_IF_ERROR(AttachSeccomp(record->config, *input.handler, &spec));
  return RelabelMounts(record->config, spec);
}

StatusOr<uint32_t> ManagerImpl::FreeSlot(const std::string& pod_id) const {
  std::set<uint32_t> used;
  for (const Store::Container& container : store_->ContainersOf(pod_id)) {
    used.insert(container->slot);
  }
  for (uint32_t slot = 0; slot < runtime::kMaxContainersPerPod; ++slot) {
    if (!used.contains(slot)) return slot;
  }
  return absl::ResourceExhaustedError(absl::StrCat("pod sandbox ", pod_id, ": already has ",
                                                   runtime::kMaxContainersPerPod, " containers"));
}

StatusOr<runtime::ContainerSetup> ManagerImpl::SetupOf(const ContainerRecord& record,
                                                       RootfsSpec rootfs) const {
  runtime::ContainerSetup setup;
  setup.pod_id = record.pod_id;
  setup.container_id = record.id;
  setup.slot = record.slot;
  ASSIGN_OR_RETURN(setup.spec, runtime::spec::Parse(record.spec_json));
  Store::Pod pod = store_->GetPod(record.pod_id);
  if (pod != nullptr) {
    ASSIGN_OR_RETURN(const Handler* handler, HandlerOf(*pod));
    RETURN_IF_ERROR(AttachSeccomp(record.config, *handler, &setup.spec));
    setup.cgroup_parent = pod->config.cgroup_parent;
    setup.external_runtime = handler->runtime_path;
  }
  const NamespaceOptions& options = record.config.security.namespaces;
  setup.pid_mode = static_cast<runtime::PidMode>(0);
  switch (options.pid) {
    case NamespaceMode::kPod:
      setup.pid_mode = runtime::PidMode::kPod;
      break;
    case NamespaceMode::kContainer:
      setup.pid_mode = runtime::PidMode::kContainer;
      break;
    case NamespaceMode::kNode:
      setup.pid_mode = runtime::PidMode::kHost;
      break;
    case NamespaceMode::kTarget:
      setup.pid_mode = runtime::PidMode::kTarget;
      setup.target_id = options.target_id;
      break;
  }
  setup.rootfs = std::move(rootfs);
  for (const runtime::spec::Mount& mount : setup.spec.mounts) {
    if (mount.type != runtime::spec::kImageMount || setup.images.contains(mount.source)) continue;
    ASSIGN_OR_RETURN(setup.images[mount.source], images_->PrepareVolume(record.id, mount.source));
  }
  setup.log_path = record.log_path;
  setup.open_stdin = record.config.stdin_open;
  setup.host_ipc = pod != nullptr && pod->config.security.namespaces.ipc == NamespaceMode::kNode;
  return setup;
}

StatusOr<std::string> ManagerImpl::MakeContainer(const PodRecord& pod,
                                                 const ContainerConfig& config) {
  ContainerRecord record;
  record.id = NewId();
  record.pod_id = pod.id;
  record.boot_id = boot_id_;
  record.created_at_ns = NowNs();
  record.config = config;
  record.resources = config.resources;
  TimedCall call(&timelines_, pod.id, "CreateContainer", config.metadata->name);
  std::shared_ptr<const images::Image> image;
  RETURN_IF_ERROR(FillFromImage(pod, config, &record, &image));
  NamespaceOptions& options = record.config.security.namespaces;
  // A pod without a shared PID namespace has none to join.
  const NamespaceMode pod_pid = pod.config.security.namespaces.pid;
  if (options.pid == NamespaceMode::kPod && pod_pid != NamespaceMode::kPod) {
    options.pid =
        pod_pid == NamespaceMode::kNode ? NamespaceMode::kNode : NamespaceMode::kContainer;
  }
  if (options.pid == NamespaceMode::kTarget) {
    ASSIGN_OR_RETURN(Store::Container target, store_->FindContainer(options.target_id));
    if (target->pod_id != pod.id || target->state != ContainerState::kRunning) {
      return absl::FailedPreconditionError(absl::StrCat(
          "config.linux.security_context.namespace_options.target_id: container ", target->id,
          target->pod_id != pod.id ? " is in another pod" : " is not running"));
    }
    options.target_id = target->id;
  }
  RootfsSpec rootfs;
  const Step steps[] = {
      {"container-record",
       [&]() -> Status {
         absl::MutexLock lock(&slots_);
         ASSIGN_OR_RETURN(record.slot, FreeSlot(pod.id));
         return store_->Put(record);
       },
       [&] { return store_->EraseContainer(record.id); }},
      {"container-rootfs",
       [&]() -> Status {
         ASSIGN_OR_RETURN(rootfs, images_->PrepareRootfs(record.id, record.image_id));
         return absl::OkStatus();
       },
       [&] { return images_->RemoveRootfs(record.id); }},
      {"container-spec", [&] { return BuildRecordSpec(pod, *image, rootfs, &record); }, {}},
      {"container-runtime",
       [&]() -> Status {
         ASSIGN_OR_RETURN(runtime::ContainerSetup setup, SetupOf(record, rootfs));
         return runtime_->CreateContainer(Context(), setup);
       },
       [&] { return runtime_->DeleteContainer(record.id); }},
      {"container-created",
       [&] {
         record.phase = Phase::kLive;
         return store_->Put(record);
       },
       {}},
  };
  StepsResult result = RunSteps(steps, failpoint_, call.observer());
  call.Finish(!result.status.ok());
  if (result.status.ok()) return record.id;
  if (!result.clean) {
    // Nothing may be forgotten that still exists: removal of the pod tries again.
    record.phase = Phase::kRemoving;
    record.state = ContainerState::kExited;
    (void)store_->Put(record);
  }
  return result.status;
}

}  // namespace berth::sandbox
