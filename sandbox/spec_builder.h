// SPDX-License-Identifier: Apache-2.0
// Turns a container configuration, its pod's and its image's into an OCI runtime specification.
// Pure: the same input gives the same specification, which golden tests hold fast.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "images/images.h"
#include "runtime/spec/spec.h"
#include "sandbox/handler.h"
#include "sandbox/types.h"

namespace berth::sandbox {

struct HostDevice {
  std::string path;  // in the container
  char type = 'c';
  int64_t major = 0;
  int64_t minor = 0;
  uint32_t mode = 0600;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string host_path = {};
};

// All that the specification depends on beside the container's own configuration.
struct SpecInput {
  std::string container_id;
  std::string pod_id;
  const PodConfig* pod = nullptr;
  const ContainerConfig* container = nullptr;
  const images::ImageConfig* image = nullptr;
  const Handler* handler = nullptr;  // the pod's
  std::string hostname;              // for $HOSTNAME
  ContainerUser user;                // resolved
  std::string home;                  // of that user
  std::string pod_dir;               // holds resolv.conf, hostname and hosts
  std::string cgroup_parent;
  std::string netns_path;  // informative; empty: the host's
  // The devices that the request names, looked up on the host, in its order, with the permissions
  // asked for; for a privileged container all of the host's.
  std::vector<std::pair<HostDevice, std::string>> devices;
  // IDs of the images that mounts name, by that name.
  StringMap volume_images = {};
  // SELinux contexts; empty: none.
  std::string process_label = {};
  std::string mount_label = {};
};

// InvalidArgument naming the field. Seccomp is not part of it: see AttachSeccomp.
StatusOr<runtime::spec::Spec> BuildSpec(const SpecInput& input);

// The seccomp section that the configuration asks for, read again at each use, so that records
// stay small. NotFound or InvalidArgument for a bad localhost profile.
Status AttachSeccomp(const ContainerConfig& config, const Handler& handler,
                     runtime::spec::Spec* spec);

// --- parts, each tested by itself

// The command line: command replaces entrypoint and cmd, args replace cmd.
StatusOr<std::vector<std::string>> BuildArgs(const ContainerConfig& config,
                                             const images::ImageConfig& image);
std::vector<std::string> BuildEnv(const SpecInput& input);
// "/a//b/./c/" -> "/a/b/c". InvalidArgument for a ".." component: nobody means it.
StatusOr<std::string> CleanPath(const std::string& path, std::string_view field);
// NotFound for a mount of an image that volume_images lacks.
StatusOr<std::vector<runtime::spec::Mount>> BuildMounts(const SpecInput& input);
StatusOr<runtime::spec::Capabilities> BuildCapabilities(const ContainerSecurity& security,
                                                        const Handler& handler);
// The least memory that a container may be limited to. A start was measured to need less than
// 128 KiB; the rest is for longer lists of mounts, larger filters and other kernels. (An external
// runtime may need more: runc takes several MiB.)
inline constexpr int64_t kMinMemoryLimit = 1 << 20;
// InvalidArgument for a limit below that; `field` is where the resources are in the request.
Status CheckMemoryLimit(const Resources& resources, std::string_view field);
// CRI resources to OCI resources; also for updates, where 0 and empty mean "leave as it is".
runtime::spec::Resources BuildResources(const Resources& resources);
// Device rules of the cgroup, default ones included.
std::vector<runtime::spec::DeviceRule> BuildDeviceRules(const SpecInput& input);

}  // namespace berth::sandbox
