// SPDX-License-Identifier: Apache-2.0
// Plans by hand for the tests of supervisor and stage, and a root from the machine's static
// busybox.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/wire/plan.h"

namespace berth::runtime {

class TestPlan {
 public:
  TestPlan& Add(wire::Op op, uint64_t arg = 0, const std::string& a = {}, const std::string& b = {},
                uint16_t flags = 0, int fd_index = wire::kNoFd) {
    wire::Step step = {};
    step.op = op;
    step.arg = arg;
    step.flags = flags;
    step.fd = fd_index;
    step.a = Store(a);
    step.b = Store(b);
    steps_.push_back(step);
    return *this;
  }
  TestPlan& AddFd(wire::Op op, int fd, uint64_t arg = 0, const std::string& a = {},
                  uint16_t flags = 0) {
    fds_.push_back(fd);
    return Add(op, arg, a, {}, flags, static_cast<int>(fds_.size()) - 1);
  }
  // `args` separated by NULs are made from the vector.
  TestPlan& Exec(const std::vector<std::string>& args,
                 const std::vector<std::string>& env = {"PATH=/bin"}) {
    return Add(wire::Op::kExec, 0, Join(args), Join(env));
  }
  TestPlan& CloneFlags(uint64_t flags) {
    clone_flags_ = flags;
    return *this;
  }
  std::string Encode() const {
    wire::Header header = {};
    header.magic = wire::kPlanMagic;
    header.version = wire::kPlanVersion;
    header.size =
        static_cast<uint32_t>(sizeof header + steps_.size() * sizeof(wire::Step) + bytes_.size());
    header.step_count = static_cast<uint32_t>(steps_.size());
    header.fd_count = static_cast<uint32_t>(fds_.size());
    header.clone_flags = clone_flags_;
    std::string out(reinterpret_cast<const char*>(&header), sizeof header);
    out.append(reinterpret_cast<const char*>(steps_.data()), steps_.size() * sizeof(wire::Step));
    out.append(bytes_);
    return out;
  }
  const std::vector<int>& fds() const { return fds_; }

 private:
  static std::string Join(const std::vector<std::string>& strings) {
    std::string joined;
    for (const std::string& text : strings) joined.append(text).push_back('\0');
    return joined;
  }
  wire::Slice Store(const std::string& text) {
    wire::Slice slice = {static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(text.size())};
    bytes_.append(text).push_back('\0');
    return slice;
  }

  uint64_t clone_flags_ = 0;
  std::vector<wire::Step> steps_;
  std::vector<int> fds_;
  std::string bytes_;
};

}  // namespace berth::runtime
