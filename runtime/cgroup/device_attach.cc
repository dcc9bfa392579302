// SPDX-License-Identifier: Apache-2.0
// bpf(2) for the one program type that is needed; a library would bring an ELF loader.
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "runtime/cgroup/devices.h"

namespace berth::runtime {
namespace {

int Bpf(bpf_cmd command, bpf_attr* attr) {
  return static_cast<int>(syscall(SYS_bpf, command, attr, sizeof *attr));
}

uint64_t Pointer(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

StatusOr<UniqueFd> Load(const std::vector<bpf_insn>& program) {
  bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = Pointer(program.data());
  attr.insn_cnt = static_cast<uint32_t>(program.size());
  attr.license = Pointer("Apache-2.0");
  strncpy(attr.prog_name, "berth_devices", sizeof attr.prog_name - 1);
  UniqueFd fd(Bpf(BPF_PROG_LOAD, &attr));
  if (!fd.ok()) return ErrnoError(errno, "load device program");
  return fd;
}

// Descriptors of the programs that are attached now.
StatusOr<std::vector<UniqueFd>> Attached(int dir) {
  uint32_t ids[64] = {};
  bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.query.target_fd = static_cast<uint32_t>(dir);
  attr.query.attach_type = BPF_CGROUP_DEVICE;
  attr.query.prog_ids = Pointer(ids);
  attr.query.prog_cnt = std::size(ids);
  if (Bpf(BPF_PROG_QUERY, &attr) != 0) return ErrnoError(errno, "query device programs");
  std::vector<UniqueFd> out;
  const uint32_t count = attr.query.prog_cnt;
  for (uint32_t i = 0; i < count; ++i) {
    memset(&attr, 0, sizeof attr);
    attr.prog_id = ids[i];
    UniqueFd fd(Bpf(BPF_PROG_GET_FD_BY_ID, &attr));
    // ENOENT: it went away meanwhile.
    if (fd.ok()) out.push_back(std::move(fd));
  }
  return out;
}

}  // namespace

Status AttachDeviceProgram(int dir, const std::vector<bpf_insn>& program) {
  ASSIGN_OR_RETURN(UniqueFd loaded, Load(program));
  ASSIGN_OR_RETURN(std::vector<UniqueFd> old, Attached(dir));
  bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.target_fd = static_cast<uint32_t>(dir);
  attr.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  if (old.size() == 1) {
    attr.attach_flags |= BPF_F_REPLACE;
    attr.replace_bpf_fd = static_cast<uint32_t>(old[0].get());
  }
  if (Bpf(BPF_PROG_ATTACH, &attr) != 0) return ErrnoError(errno, "attach device program");
  if (old.size() < 2) return absl::OkStatus();
  // All attached programs must agree to an access, so the old ones go only now.
  for (const UniqueFd& fd : old) {
    memset(&attr, 0, sizeof attr);
    attr.target_fd = static_cast<uint32_t>(dir);
    attr.attach_bpf_fd = static_cast<uint32_t>(fd.get());
    attr.attach_type = BPF_CGROUP_DEVICE;
    if (Bpf(BPF_PROG_DETACH, &attr) != 0 && errno != ENOENT) {
      return ErrnoError(errno, "detach device program");
    }
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
