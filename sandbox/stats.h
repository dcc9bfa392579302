// SPDX-License-Identifier: Apache-2.0
// What containers and pods use, gathered: the public header for stats and metrics.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/usage.h"
#include "sandbox/types.h"

namespace berth::sandbox {

struct ContainerStats {
  ContainerStatus container = {};  // ID, pod, metadata, labels, annotations, times, image
  // Of a running container only.
  std::optional<CgroupUsage> usage = {};
  // CPU time per second of the last ten to twenty, in nanoseconds; not set for a container younger
  // than that has to be.
  std::optional<uint64_t> nano_cores = {};
  // Measured now and then, apart from any request; not set before the first time.
  std::optional<DiskUsage> writable_layer = {};
  std::optional<ProcessUsage> processes = {};  // kAll only
};

struct PodStats {
  PodStatus pod = {};  // ID, metadata, labels, annotations, creation
  // Of the pod's cgroup, or the sum of its containers if it has none of its own.
  CgroupUsage usage = {};
  std::optional<uint64_t> nano_cores = {};
  std::optional<InterfaceUsage> network = {};  // not set: the node's network
  int64_t network_time_ns = 0;
  std::vector<ContainerStats> containers = {};  // those that run
};

// Thread safe. Every method opens files of the cgroup file system. What ends meanwhile is left out
// of lists, or has no usage.
class Statistics {
 public:
  virtual ~Statistics() = default;

  // By unique prefix: NotFound, InvalidArgument.
  virtual StatusOr<ContainerStats> GetContainerStats(const std::string& id) = 0;
  // FailedPrecondition if the pod is not ready.
  virtual StatusOr<PodStats> GetPodStats(const std::string& id) = 0;
  // Those that do not run have no usage.
  virtual std::vector<ContainerStats> ListContainerStats(const ContainerFilter& filter) = 0;
  // Ready pods.
  virtual std::vector<PodStats> ListPodStats(const PodFilter& filter, UsageDetail detail) = 0;

  // What `encode` makes of each item of the lists above, in their order. It is called on several
  // threads at once: with many containers this halves the time of a list.
  virtual std::vector<std::string> EncodeContainerStats(
      const ContainerFilter& filter,
      const std::function<std::string(const ContainerStats&)>& encode) = 0;
  virtual std::vector<std::string> EncodePodStats(
      const PodFilter& filter, UsageDetail detail,
      const std::function<std::string(const PodStats&)>& encode) = 0;

  // Where writable layers lie, as ImageFsInfo names it.
  virtual std::string filesystem() const = 0;
};

}  // namespace berth::sandbox
