// SPDX-License-Identifier: Apache-2.0
// Which SELinux contexts a pod, its containers and their files have. Written by hand: the contexts
// that the policy sets aside for containers, and selinuxfs to ask what the policy knows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "sandbox/records.h"
#include "sandbox/sandbox.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// "user:role:type" and, where the policy has levels, ":level".
struct SelinuxContext {
  std::string user, role, type, level;
  std::string ToString() const;
  bool operator==(const SelinuxContext&) const = default;
};
// InvalidArgument for what cannot be a context of any policy.
StatusOr<SelinuxContext> ParseSelinuxContext(const std::string& text);

// InvalidArgument naming the field for what no policy could know; not set is fine. Pure.
Status CheckSelinuxOptions(const std::optional<SelinuxOptions>& options);

// Immutable, so thread safe.
class Selinux {
 public:
  // Off if the node says so, the kernel has it not, or the policy has no contexts for containers or
  // does not know those it has (which is logged). FailedPrecondition naming the file if it has them
  // in a form that cannot be understood.
  static StatusOr<Selinux> Load(const SelinuxNode& node);

  bool on() const { return on_; }

  // Contexts for the pod's containers and their files. A pod that asks for no level gets one with
  // two categories that none of `others` has, which are process contexts. InvalidArgument naming
  // the field that the policy does not know; ResourceExhausted. Only while on.
  StatusOr<LabelsRecord> LabelsOfPod(const PodConfig& pod,
                                     const std::vector<std::string>& others) const;
  // The pod's, unless the container has options of its own, which replace all of the pod's but its
  // level. A privileged container is spc_t, or has no context if the policy does not know that one:
  // then the policy decides as for any program that berth starts. Only while on.
  StatusOr<LabelsRecord> LabelsOfContainer(const ContainerSecurity& security,
                                           const LabelsRecord& pod) const;

 private:
  bool on_ = false;
  std::string fs_;
  SelinuxContext process_;
  SelinuxContext file_;

  // Whether the policy has this context.
  StatusOr<bool> Knows(const SelinuxContext& context) const;
  StatusOr<LabelsRecord> Apply(const std::optional<SelinuxOptions>& options,
                               const std::string& level) const;
  Status CheckKnown(const SelinuxContext& wanted, const SelinuxContext& standard,
                    const SelinuxOptions& options) const;
};

// Whether files may be given the mount context for a container with this process context: not where
// it is not confined, and can read them anyway.
bool RelabelsFor(const std::string& process_label);

}  // namespace berth::sandbox
