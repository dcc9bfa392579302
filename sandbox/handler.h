// SPDX-License-Identifier: Apache-2.0
// Runtime handlers: named profiles that a pod chooses by RunPodSandboxRequest.runtime_handler (a
// RuntimeClass's handler) and that say what a pod and its containers get where their own
// configuration is silent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "sandbox/types.h"

namespace berth::sandbox {

struct Handler {
  std::string name;
  // Absolute path of a profile in OCI or Docker form that stands for RuntimeDefault; empty: the
  // built-in one. Read at each use.
  std::string seccomp_profile = {};
  // Name of the AppArmor profile that stands for RuntimeDefault, where the kernel has AppArmor;
  // empty: none.
  std::string apparmor_profile = "berth-default";
  // Absolute path of an OCI runtime that makes the containers; empty: berth's own.
  std::string runtime_path = {};
  // Of pods, unless a pod sets the same name.
  StringMap sysctls = {};
  // What a container has before its own additions and removals; not set: the usual 14.
  std::optional<std::vector<std::string>> capabilities = {};
  // Which annotations reach the OCI configuration: names, where "*" stands for any text.
  std::vector<std::string> pod_annotations = {};
  std::vector<std::string> container_annotations = {};
  // A privileged container sees only the devices that it asks for.
  bool privileged_without_host_devices = false;
  // Devices that a container asks for belong to the user and group that it is to run as.
  bool device_ownership_from_security_context = false;
  // /sys/fs/cgroup can be written in containers that are not privileged too.
  bool cgroup_writable = false;
};

// The handlers of a node; immutable. The first one given is the default.
class Handlers {
 public:
  // "berth" alone, with the aliases.
  Handlers();
  // InvalidArgument for no handler, a bad or repeated name, or a profile that CheckHandler
  // refuses. "runc" and "crun" that are not defined mean the default handler, so that existing
  // RuntimeClasses work.
  static StatusOr<Handlers> Create(std::vector<Handler> handlers);

  // An empty name is the default's. Null if there is no such handler.
  const Handler* Find(std::string_view name) const;
  const Handler& standard() const { return handlers_.front(); }
  // The default is the first.
  const std::vector<Handler>& all() const { return handlers_; }
  // Every name but the default's, aliases included.
  std::vector<std::string> OtherNames() const;

 private:
  std::vector<Handler> handlers_;
  std::vector<std::string> aliases_;
};

// InvalidArgument naming the key for an unknown capability, a sysctl without a name, a seccomp
// profile that cannot be read or parsed, or an AppArmor profile whose name can be none.
Status CheckHandler(const Handler& handler);

// Bits of the capabilities that a container starts from. InvalidArgument for an unknown name; names
// with or without "CAP_", in any case.
StatusOr<uint64_t> BaseCapabilities(const Handler& handler);

// Whether `pattern` matches all of `text`; "*" stands for any text, everything else for itself.
bool MatchesPattern(std::string_view pattern, std::string_view text);

}  // namespace berth::sandbox
