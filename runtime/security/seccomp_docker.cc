// SPDX-License-Identifier: Apache-2.0
// ParseSeccompProfile(): Docker's conditions are decided here, what is left is the OCI form.
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/json.h"
#include "runtime/security/capabilities.h"
#include "runtime/security/seccomp_profile.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {
namespace {

#if defined(__x86_64__)
constexpr char kGoArch[] = "amd64";
constexpr char kNativeArch[] = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr char kGoArch[] = "arm64";
constexpr char kNativeArch[] = "SCMP_ARCH_AARCH64";
#else
#error "name this architecture"
#endif

bool Contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

StatusOr<bool> KernelIsAtLeast(const std::string& wanted, const std::string& path) {
  unsigned want_major = 0;
  unsigned want_minor = 0;
  if (sscanf(wanted.c_str(), "%4u.%4u", &want_major, &want_minor) != 2) {
    return absl::InvalidArgumentError(absl::StrCat(path, ".minKernel: not MAJOR.MINOR"));
  }
  utsname name;
  unsigned major = 0;
  unsigned minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%4u.%4u", &major, &minor) != 2) {
    return absl::InternalError("uname: release is not MAJOR.MINOR");
  }
  return major > want_major || (major == want_major && minor >= want_minor);
}

// The conditions of one rule. Included: every capability, one of the architectures, the kernel.
// Excluded: any one of them.
StatusOr<bool> Applies(const json::Reader& rule, uint64_t bounding) {
  ASSIGN_OR_RETURN(std::optional<json::Reader> includes, rule.Child("includes"));
  if (includes) {
    ASSIGN_OR_RETURN(std::vector<std::string> caps, includes->Strings("caps"));
    ASSIGN_OR_RETURN(std::vector<std::string> arches, includes->Strings("arches"));
    ASSIGN_OR_RETURN(std::string kernel, includes->StringOr("minKernel", ""));
    ASSIGN_OR_RETURN(uint64_t bits, CapabilityBits(caps));
    if ((bits & ~bounding) != 0) return false;
    if (!arches.empty() && !Contains(arches, kGoArch)) return false;
    if (!kernel.empty()) {
      ASSIGN_OR_RETURN(bool enough, KernelIsAtLeast(kernel, includes->path()));
      if (!enough) return false;
    }
  }
  ASSIGN_OR_RETURN(std::optional<json::Reader> excludes, rule.Child("excludes"));
  if (excludes) {
    ASSIGN_OR_RETURN(std::vector<std::string> caps, excludes->Strings("caps"));
    ASSIGN_OR_RETURN(std::vector<std::string> arches, excludes->Strings("arches"));
    ASSIGN_OR_RETURN(std::string kernel, excludes->StringOr("minKernel", ""));
    ASSIGN_OR_RETURN(uint64_t bits, CapabilityBits(caps));
    if ((bits & bounding) != 0) return false;
    if (Contains(arches, kGoArch)) return false;
    if (!kernel.empty()) {
      ASSIGN_OR_RETURN(bool enough, KernelIsAtLeast(kernel, excludes->path()));
      if (enough) return false;
    }
  }
  return true;
}

// The native architecture and its variants.
StatusOr<std::vector<std::string>> ArchitecturesOf(const json::Reader& root) {
  ASSIGN_OR_RETURN(std::vector<json::Reader> map, root.Objects("archMap"));
  std::vector<std::string> out;
  for (const json::Reader& entry : map) {
    ASSIGN_OR_RETURN(std::string arch, entry.String("architecture"));
    if (arch != kNativeArch) continue;
    ASSIGN_OR_RETURN(out, entry.Strings("subArchitectures"));
    out.insert(out.begin(), arch);
  }
  return out;
}

}  // namespace

StatusOr<spec::Seccomp> ParseSeccompProfile(std::string_view text, uint64_t bounding) {
  if (text.size() > kMaxSeccompProfileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("seccomp: larger than ", kMaxSeccompProfileBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(spec::Seccomp all, spec::ParseSeccomp(text));
  ASSIGN_OR_RETURN(json::Value value, json::Parse(text, kMaxSeccompProfileBytes, "seccomp"));
  ASSIGN_OR_RETURN(json::Reader root, json::Reader::Create(value, "seccomp"));
  if (root.Has("archMap")) {
    if (!all.architectures.empty()) {
      return absl::InvalidArgumentError("seccomp: both architectures and archMap");
    }
    ASSIGN_OR_RETURN(all.architectures, ArchitecturesOf(root));
  }
  ASSIGN_OR_RETURN(std::vector<json::Reader> rules, root.Objects("syscalls"));
  std::vector<spec::SeccompSyscall> kept;
  for (size_t i = 0; i < rules.size(); ++i) {
    spec::SeccompSyscall& rule = all.syscalls[i];
    ASSIGN_OR_RETURN(std::string name, rules[i].StringOr("name", ""));
    if (!name.empty()) {
      if (!rule.names.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(rules[i].path(), ": both name and names"));
      }
      rule.names = {name};
    }
    ASSIGN_OR_RETURN(bool applies, Applies(rules[i], bounding));
    if (applies) kept.push_back(std::move(rule));
  }
  all.syscalls = std::move(kept);
  RETURN_IF_ERROR(spec::ValidateSeccomp(all));
  return all;
}

StatusOr<spec::Seccomp> LoadSeccompProfile(const std::string& path, uint64_t bounding) {
  if (path.empty() || path[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("seccomp profile \"", path, "\": not an absolute path"));
  }
  StatusOr<std::string> text = ReadFile(path, kMaxSeccompProfileBytes);
  RETURN_IF_ERROR(Annotate(text.status(), "seccomp profile"));
  StatusOr<spec::Seccomp> profile = ParseSeccompProfile(*text, bounding);
  RETURN_IF_ERROR(Annotate(profile.status(), absl::StrCat("seccomp profile ", path)));
  return profile;
}

}  // namespace berth::runtime
