// SPDX-License-Identifier: Apache-2.0
// For tests: a policy and a selinuxfs in a directory.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "sandbox/sandbox.h"

namespace berth::sandbox {

class FakePolicy {
 public:
  FakePolicy() {
    char pattern[] = "/tmp/berth-selinux-test.XXXXXX";
    if (mkdtemp(pattern) == nullptr) abort();
    dir_ = pattern;
    std::filesystem::create_directories(dir_ + "/etc/berth/contexts");
    std::filesystem::create_directories(dir_ + "/fs");
    Write("etc/config", "# SELINUXTYPE=other\nSELINUX=enforcing\nSELINUXTYPE=berth\n");
    Write("etc/berth/contexts/lxc_contexts",
          "process = \"system_u:system_r:container_t:s0\"\n"
          "content = \"system_u:object_r:virt_var_lib_t:s0\"\n"
          "file = \"system_u:object_r:container_file_t:s0\"\n");
    Write("fs/context", "");
  }
  ~FakePolicy() { (void)RemoveTree(AT_FDCWD, dir_); }
  FakePolicy(const FakePolicy&) = delete;
  FakePolicy& operator=(const FakePolicy&) = delete;

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
  }
  // Answers EINVAL to whatever is asked, as selinuxfs does for an unknown context.
  void KnowNothing() {
    std::filesystem::remove(dir_ + "/fs/context");
    std::filesystem::create_symlink("/proc/self/oom_score_adj", dir_ + "/fs/context");
  }
  SelinuxNode Node() const {
    return {.enabled = true,
            .fs = dir_ + "/fs",
            .etc = dir_ + "/etc",
            .containers = dir_ + "/containers"};
  }
  const std::string& dir() const { return dir_; }

 private:
  std::string dir_;
};

}  // namespace berth::sandbox
