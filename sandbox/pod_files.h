// SPDX-License-Identifier: Apache-2.0
// The files that a pod's containers share: /etc/resolv.conf, /etc/hostname, /etc/hosts. They live
// in <root>/pods/<pod id>/ and are bind-mounted.
#pragma once

#include <string>

#include "base/status.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// What the pod's processes see as the name of their host: the node's with the host's network, else
// the pod's own, which is made of its ID if the configuration gives none.
std::string HostnameOf(const std::string& pod_id, const PodConfig& config);

// InvalidArgument if a value holds a control character or a blank: it would become another line or
// field of the file.
Status ValidateDns(const DnsConfig& dns);
// resolv.conf(5) text. Pure.
std::string RenderResolvConf(const DnsConfig& dns);

// Writes the three files into `dir`, which is made. Without dns the host's resolv.conf is copied;
// hosts is the host's with the host's network, else names localhost and the pod once its
// addresses are known. With `label` they have that SELinux context.
Status WritePodFiles(const std::string& dir, const PodConfig& config, const std::string& hostname,
                     bool host_network, const std::string& label = "");
// Adds the pod's own line to hosts.
Status WriteHosts(const std::string& dir, const PodConfig& config, const std::string& hostname,
                  const std::vector<std::string>& addresses, const std::string& label = "");

}  // namespace berth::sandbox
