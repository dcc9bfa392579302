// SPDX-License-Identifier: Apache-2.0
// Pods and containers: what they are, what happens to them, what is known of them. This is the
// folder's public header, with types.h.
//
// A create, start, stop or remove is an operation of named steps, written down before its first
// side effect, so that a crash at any point is finished or undone at the next start.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/database.h"
#include "base/status.h"
#include "sandbox/events.h"
#include "sandbox/handler.h"
#include "sandbox/listed.h"
#include "sandbox/stats.h"
#include "sandbox/streams.h"
#include "sandbox/types.h"

namespace berth::images {
class ImageService;
}
namespace berth::network {
class Network;
}  // namespace berth::network
namespace berth::runtime {
class Runtime;
class RuntimeListener;
}  // namespace berth::runtime

namespace berth::sandbox {

// Thread safe. Methods marked [blocks] belong on an executor; the others answer from an immutable
// snapshot. IDs are accepted as unique prefixes; an empty ID matches nothing; an ambiguous prefix
// is InvalidArgument. Codes beside the usual: NotFound for an unknown pod or container where
// Status, Create and Start need one; Stop and Remove of unknown ones are OK.
class Service : public EventSource {
 public:
  // [blocks] Returns the pod's ID: READY, with network. The same name and attempt again joins the
  // running operation or returns the finished pod.
  virtual StatusOr<std::string> RunPod(const Context& context, const PodConfig& config,
                                       const std::string& handler) = 0;
  // [blocks] Kills all containers, releases the network. Idempotent.
  virtual Status StopPod(const Context& context, const std::string& id) = 0;
  // [blocks] Idempotent.
  virtual Status RemovePod(const Context& context, const std::string& id) = 0;
  // [blocks] The sums of a resized pod, for whoever asks; kubelet has set the pod's cgroup and it
  // is not touched here. What is not given stays. NotFound for an unknown pod.
  virtual Status UpdatePodResources(const Context& context, const std::string& id,
                                    const std::optional<Resources>& overhead,
                                    const std::optional<Resources>& resources) = 0;
  virtual StatusOr<PodStatus> GetPod(const std::string& id) const = 0;
  // Newest first, and so are containers.
  virtual std::vector<ListedPod> ListPods(const PodFilter& filter) const = 0;

  // [blocks]
  virtual StatusOr<std::string> CreateContainer(const Context& context, const std::string& pod_id,
                                                const ContainerConfig& config) = 0;
  // [blocks] A failed start leaves the container EXITED with code 128 and reason StartError.
  virtual Status StartContainer(const Context& context, const std::string& id) = 0;
  // [blocks] timeout_s 0 kills at once.
  virtual Status StopContainer(const Context& context, const std::string& id,
                               int64_t timeout_s) = 0;
  // [blocks]
  virtual Status RemoveContainer(const Context& context, const std::string& id) = 0;
  virtual StatusOr<ContainerStatus> GetContainer(const std::string& id) const = 0;
  // They show IDs, state, times, end and image; of the configuration the metadata, image, labels
  // and annotations. The rest is empty.
  virtual std::vector<ListedContainer> ListContainers(const ContainerFilter& filter) const = 0;

  // [blocks] All or nothing.
  virtual Status UpdateResources(const Context& context, const std::string& id,
                                 const Resources& resources) = 0;
  // [blocks]
  virtual Status ReopenLog(const Context& context, const std::string& id) = 0;
  // [blocks] timeout_s 0: none. DeadlineExceeded once the whole exec is killed. Output beyond 16
  // MiB less 64 KiB, both streams together, is discarded.
  virtual StatusOr<ExecSyncResult> ExecSync(const Context& context, const std::string& id,
                                            const std::vector<std::string>& command,
                                            int64_t timeout_s) = 0;

  // How the pod and its containers came up, as far as this daemon saw it: without steps after a
  // restart. NotFound for an unknown pod.
  virtual StatusOr<Timeline> GetTimeline(const std::string& pod_id) const = 0;

  virtual NetworkState GetNetworkState() const = 0;
  // [blocks] The ranges of which pods get addresses, see network::Network::SetRanges.
  virtual Status SetPodRanges(const Context& context, const std::vector<std::string>& ranges) = 0;
};

// Where the node's SELinux is. Without `enabled` nothing is labelled.
struct SelinuxNode {
  bool enabled = false;
  std::string fs = "/sys/fs/selinux";
  std::string etc = "/etc/selinux";
  // The contexts for containers, if there is such a file; else <etc>/TYPE/contexts/lxc_contexts.
  std::string containers = "/usr/share/containers/selinux/contexts";
};

struct Options {
  std::string root;   // persistent data
  std::string state;  // cleared by a reboot; 0700
  std::string instance = "berth";
  Handlers handlers;
  SelinuxNode selinux;
};

// The parts a service needs; all outlive it.
struct Parts {
  Database* database = nullptr;
  images::ImageService* images = nullptr;
  network::Network* network = nullptr;
};

// Two steps, because the runtime wants its listener before it exists: Create, start the runtime
// with listener(), then Recover, which blocks until what was recorded and what runs agree.
class Manager : public Service {
 public:
  static StatusOr<std::unique_ptr<Manager>> Create(const Options& options, const Parts& parts);
  virtual runtime::RuntimeListener* listener() = 0;
  virtual Status Recover(runtime::Runtime* runtime) = 0;
  // Used after Recover and before Quiesce.
  virtual Streams* streams() = 0;
  virtual Statistics* statistics() = 0;
  // Before the runtime ends: records the exits that were reported and takes no more of them; the
  // next start finds those in the exit records.
  virtual void Quiesce() = 0;
};

}  // namespace berth::sandbox
