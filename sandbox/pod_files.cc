// SPDX-License-Identifier: Apache-2.0
#include "sandbox/pod_files.h"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/sys.h"
#include "sandbox/relabel.h"
#include "sandbox/user_namespace.h"

namespace berth::sandbox {
namespace {

// resolv.conf and hosts of a host are a few lines; more is a mistake.
constexpr size_t kMaxHostFile = 1 << 20;

Status CheckWords(const std::vector<std::string>& words, std::string_view field) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string at = absl::StrCat(std::string(field), "[", i, "]");
    if (words[i].empty()) return absl::InvalidArgumentError(absl::StrCat(at, ": empty"));
    for (unsigned char c : words[i]) {
      if (c <= 0x20 || c == 0x7f) {
        return absl::InvalidArgumentError(absl::StrCat(
            at, ": holds a blank or control character, which would forge another line"));
      }
    }
  }
  return absl::OkStatus();
}

StatusOr<std::string> HostFile(const std::string& path) {
  StatusOr<std::string> text = ReadFile(path, kMaxHostFile);
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
}

constexpr std::string_view kLocalHosts =
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n";

// They belong to the pod's root, which may edit them.
Status GiveFiles(int dir, const std::vector<const char*>& names, const PodConfig& config,
                 const std::string& label) {
  for (const char* name : names) {
    if (!label.empty()) RETURN_IF_ERROR(LabelFile(dir, name, label));
  }
  const auto [uid, gid] = HostRoot(config);
  if (uid == 0 && gid == 0) return absl::OkStatus();
  for (const char* name : names) {
    if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
      int error = errno;
      return ErrnoError(error, absl::StrCat("set the owner of ", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string HostnameOf(const std::string& pod_id, const PodConfig& config) {
  if (config.security.namespaces.network == NamespaceMode::kNode) {
    utsname names;
    return uname(&names) == 0 ? names.nodename : "localhost";
  }
  return config.hostname.empty() ? pod_id.substr(0, 12) : config.hostname;
}

Status ValidateDns(const DnsConfig& dns) {
  RETURN_IF_ERROR(CheckWords(dns.servers, "config.dns_config.servers"));
  RETURN_IF_ERROR(CheckWords(dns.searches, "config.dns_config.searches"));
  return CheckWords(dns.options, "config.dns_config.options");
}

std::string RenderResolvConf(const DnsConfig& dns) {
  std::string text;
  if (!dns.searches.empty())
    absl::StrAppend(&text, "search ", absl::StrJoin(dns.searches, " "), "\n");
  for (const std::string& server : dns.servers) absl::StrAppend(&text, "nameserver ", server, "\n");
  if (!dns.options.empty())
    absl::StrAppend(&text, "options ", absl::StrJoin(dns.options, " "), "\n");
  return text;
}

Status WritePodFiles(const std::string& dir, const PodConfig& config, const std::string& hostname,
                     bool host_network, const std::string& label) {
  RETURN_IF_ERROR(MakeDirs(dir, 0700));
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(dir, O_RDONLY | O_DIRECTORY));
  std::string resolv;
  if (config.dns.has_value()) {
    resolv = RenderResolvConf(*config.dns);
  } else {
    ASSIGN_OR_RETURN(resolv, HostFile("/etc/resolv.conf"));
  }
  RETURN_IF_ERROR(AtomicReplace(fd.get(), "resolv.conf", resolv, 0644, /*durable=*/false));
  RETURN_IF_ERROR(AtomicReplace(fd.get(), "hostname", hostname + "\n", 0644, /*durable=*/false));
  std::string hosts(kLocalHosts);
  if (host_network) {
    ASSIGN_OR_RETURN(hosts, HostFile("/etc/hosts"));
  }
  RETURN_IF_ERROR(AtomicReplace(fd.get(), "hosts", hosts, 0644, /*durable=*/false));
  return GiveFiles(fd.get(), {"resolv.conf", "hostname", "hosts"}, config, label);
}

Status WriteHosts(const std::string& dir, const PodConfig& config, const std::string& hostname,
                  const std::vector<std::string>& addresses, const std::string& label) {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(dir, O_RDONLY | O_DIRECTORY));
  std::string text(kLocalHosts);
  for (const std::string& address : addresses) {
    absl::StrAppend(&text, address, "\t", hostname, "\n");
  }
  RETURN_IF_ERROR(AtomicReplace(fd.get(), "hosts", text, 0644, /*durable=*/false));
  return GiveFiles(fd.get(), {"hosts"}, config, label);
}

}  // namespace berth::sandbox
