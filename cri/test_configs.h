// SPDX-License-Identifier: Apache-2.0
// For tests: requests that are right, to be spoilt.
#pragma once

#include "cri/translate_common.h"

namespace berth::cri {

inline v1::PodSandboxConfig BasePod() {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name("pod");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("1234");
  config.add_port_mappings()->set_container_port(80);
  v1::LinuxSandboxSecurityContext* security = config.mutable_linux()->mutable_security_context();
  security->mutable_run_as_user()->set_value(5);
  security->mutable_run_as_group()->set_value(6);
  for (v1::LinuxContainerResources* resources :
       {config.mutable_linux()->mutable_overhead(), config.mutable_linux()->mutable_resources()}) {
    resources->add_hugepage_limits()->set_page_size("2MB");
  }
  return config;
}

inline v1::ContainerConfig BaseContainer() {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name("app");
  config.mutable_image()->set_image("sha256:abc");
  config.add_envs()->set_key("KEY");
  v1::Mount* mount = config.add_mounts();
  mount->set_container_path("/data");
  mount->set_host_path("/srv");
  config.add_devices()->set_host_path("/dev/null");
  config.add_cdi_devices()->set_name("vendor.com/class=one");
  config.mutable_linux()->mutable_resources()->add_hugepage_limits()->set_page_size("2MB");
  return config;
}

}  // namespace berth::cri
