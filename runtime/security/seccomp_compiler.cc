// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/seccomp_compiler.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/security/seccomp_tree.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {
namespace {

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterDeleter>;

Status SeccompError(int rc, std::string_view what) {
  Status status = ErrnoError(-rc, what);
  return Status(absl::StatusCode::kInvalidArgument, status.message());
}

uint32_t ActionOf(const std::string& name, const std::optional<uint32_t>& argument) {
  uint32_t value = argument.value_or(EPERM);
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(value);
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(value);
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  if (name == "SCMP_ACT_NOTIFY") return SCMP_ACT_NOTIFY;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  return SCMP_ACT_KILL_THREAD;
}

std::optional<scmp_compare> OperatorOf(const std::string& name) {
  if (name == "SCMP_CMP_NE") return SCMP_CMP_NE;
  if (name == "SCMP_CMP_LT") return SCMP_CMP_LT;
  if (name == "SCMP_CMP_LE") return SCMP_CMP_LE;
  if (name == "SCMP_CMP_EQ") return SCMP_CMP_EQ;
  if (name == "SCMP_CMP_GE") return SCMP_CMP_GE;
  if (name == "SCMP_CMP_GT") return SCMP_CMP_GT;
  if (name == "SCMP_CMP_MASKED_EQ") return SCMP_CMP_MASKED_EQ;
  return std::nullopt;
}

StatusOr<std::vector<uint32_t>> ArchitecturesOf(const spec::Seccomp& seccomp) {
  std::vector<uint32_t> arches = {seccomp_arch_native()};
  for (const std::string& name : seccomp.architectures) {
    // SCMP_ARCH_X86_64 is "x86_64" for libseccomp.
    uint32_t arch =
        seccomp_arch_resolve_name(absl::AsciiStrToLower(name.substr(strlen("SCMP_ARCH_"))).c_str());
    if (arch == 0) {
      return absl::InvalidArgumentError(absl::StrCat("seccomp: architecture ", name, " unknown"));
    }
    if (std::find(arches.begin(), arches.end(), arch) == arches.end()) arches.push_back(arch);
  }
  return arches;
}

Status AddRule(void* filter, uint32_t action, int number, const std::vector<scmp_arg_cmp>& args,
               const std::string& name) {
  int rc = seccomp_rule_add_array(filter, action, number, static_cast<unsigned>(args.size()),
                                  args.data());
  // EEXIST: the same rule is there already.
  if (rc == 0 || rc == -EEXIST) return absl::OkStatus();
  return SeccompError(rc, absl::StrCat("seccomp: rule for ", name));
}

Status AddSyscall(void* filter, uint32_t action, const std::string& name,
                  const spec::SeccompSyscall& rule, std::vector<std::string>* unknown) {
  int number = seccomp_syscall_resolve_name(name.c_str());
  if (number == __NR_SCMP_ERROR) {
    unknown->push_back(name);
    return absl::OkStatus();
  }
  std::vector<scmp_arg_cmp> args;
  std::set<uint32_t> indexes;
  for (const spec::SeccompArg& arg : rule.args) {
    std::optional<scmp_compare> op = OperatorOf(arg.op);
    if (!op || arg.index > 5) {
      return absl::InvalidArgumentError(absl::StrCat("seccomp: bad argument rule for ", name));
    }
    indexes.insert(arg.index);
    args.push_back({arg.index, *op, arg.value, arg.value_two});
  }
  if (indexes.size() == args.size()) return AddRule(filter, action, number, args, name);
  // libseccomp compares an argument once per rule. Several comparisons of one argument are taken
  // as alternatives, as other runtimes do and profiles have come to expect.
  for (const scmp_arg_cmp& arg : args) {
    RETURN_IF_ERROR(AddRule(filter, action, number, {arg}, name));
  }
  return absl::OkStatus();
}

// The highest number per architecture that the profile names.
std::vector<int> LastCalls(const spec::Seccomp& seccomp, const std::vector<uint32_t>& arches) {
  std::vector<int> last(arches.size(), -1);
  for (const spec::SeccompSyscall& rule : seccomp.syscalls) {
    for (const std::string& name : rule.names) {
      for (size_t i = 0; i < arches.size(); ++i) {
        int number = seccomp_syscall_resolve_name_arch(arches[i], name.c_str());
        if (number > last[i]) last[i] = number;
      }
    }
  }
  return last;
}

constexpr uint32_t kX32Bit = 0x40000000;

sock_filter Statement(uint16_t code, uint32_t k) { return {code, 0, 0, k}; }
sock_filter Jump(uint16_t code, uint32_t k, uint8_t yes, uint8_t no) {
  return {static_cast<uint16_t>(BPF_JMP | code | BPF_K), yes, no, k};
}

// Takes x32 out of the architectures if the kernel has none of it, and says whether it was there:
// its rules would be a quarter of the program, for calls that end with ENOSYS in any case. A
// profile that kills, traces or logs what it does not name gets to see these calls.
bool TakeX32(uint32_t fallback, std::vector<uint32_t>* arches) {
  const bool fails = (fallback & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
  if (!fails || arches->front() != SCMP_ARCH_X86_64 || sys::HasX32()) return false;
  return std::erase(*arches, SCMP_ARCH_X32) > 0;
}

// Instructions before the program of libseccomp: ENOSYS for every x32 call.
std::vector<sock_filter> NoX32Prefix() {
  return {Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
          Jump(BPF_JEQ, SCMP_ARCH_X86_64, 0, 3),
          Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          Jump(BPF_JGE, kX32Bit, 0, 1), Statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)};
}

// Instructions before the program of libseccomp: ENOSYS for calls that are newer than the profile.
// x32 calls carry the audit architecture of x86-64 and a bit in the number.
std::vector<sock_filter> NewerCallsPrefix(const std::vector<uint32_t>& arches,
                                          const std::vector<int>& last) {
  std::vector<sock_filter> code;
  const sock_filter enosys = Statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
  for (size_t i = 0; i < arches.size(); ++i) {
    if (last[i] < 0) continue;
    uint32_t max = static_cast<uint32_t>(last[i]);
    uint32_t audit = arches[i];
    bool x32 = arches[i] == SCMP_ARCH_X32;
    if (x32) audit = SCMP_ARCH_X86_64;
    code.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
    code.push_back(Jump(BPF_JEQ, audit, 0, x32 || arches[i] != SCMP_ARCH_X86_64 ? 3 : 4));
    code.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    if (x32) {
      max |= kX32Bit;
    } else if (arches[i] == SCMP_ARCH_X86_64) {
      code.push_back(Jump(BPF_JGE, kX32Bit, 2, 0));
    }
    code.push_back(Jump(BPF_JGT, max, 0, 1));
    code.push_back(enosys);
  }
  return code;
}

StatusOr<std::vector<sock_filter>> Export(void* filter) {
  UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.ok()) return ErrnoError(errno, "memfd_create seccomp");
  if (int rc = seccomp_export_bpf(filter, file.get()); rc != 0) {
    return SeccompError(rc, "seccomp: export");
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "seek seccomp");
  ASSIGN_OR_RETURN(std::string bytes, ReadAll(file.get(), 1 << 20, "seccomp program"));
  std::vector<sock_filter> code(bytes.size() / sizeof(sock_filter));
  memcpy(code.data(), bytes.data(), code.size() * sizeof(sock_filter));
  return code;
}

uint32_t FlagsOf(const spec::Seccomp& seccomp) {
  uint32_t flags = 0;
  for (const std::string& name : seccomp.flags) {
    if (name == "SECCOMP_FILTER_FLAG_TSYNC") flags |= SECCOMP_FILTER_FLAG_TSYNC;
    if (name == "SECCOMP_FILTER_FLAG_LOG") flags |= SECCOMP_FILTER_FLAG_LOG;
    if (name == "SECCOMP_FILTER_FLAG_SPEC_ALLOW") flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // Linux 5.19; not in the oldest headers this builds with.
    if (name == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") flags |= 1u << 5;
  }
  return flags;
}

StatusOr<SeccompProgram> CompileOnce(const spec::Seccomp& seccomp) {
  const uint32_t fallback = ActionOf(seccomp.default_action, seccomp.default_errno_ret);
  Filter filter(seccomp_init(fallback));
  if (filter == nullptr) return absl::InvalidArgumentError("seccomp: bad default action");
  ASSIGN_OR_RETURN(std::vector<uint32_t> arches, ArchitecturesOf(seccomp));
  const bool took_x32 = TakeX32(fallback, &arches);
  for (size_t i = 1; i < arches.size(); ++i) {
    int rc = seccomp_arch_add(filter.get(), arches[i]);
    if (rc != 0 && rc != -EEXIST) return SeccompError(rc, "seccomp: add architecture");
  }
  // A binary search over the calls instead of a list: the kernel runs a new filter for every call
  // number once, so a list costs it four times as much to load.
  if (int rc = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); rc != 0) {
    return SeccompError(rc, "seccomp: optimize");
  }
  SeccompProgram program;
  program.flags = FlagsOf(seccomp);
  for (const spec::SeccompSyscall& rule : seccomp.syscalls) {
    uint32_t action = ActionOf(rule.action, rule.errno_ret);
    if (action == fallback) continue;
    program.notify |= action == SCMP_ACT_NOTIFY;
    for (const std::string& name : rule.names) {
      RETURN_IF_ERROR(AddSyscall(filter.get(), action, name, rule, &program.unknown));
    }
  }
  ASSIGN_OR_RETURN(std::vector<sock_filter> body, Export(filter.get()));
  bool denies = fallback != SCMP_ACT_ALLOW && fallback != SCMP_ACT_LOG &&
                seccomp.default_action != "SCMP_ACT_TRACE";
  std::vector<sock_filter> whole;
  if (took_x32) whole = NoX32Prefix();
  if (denies) {
    const std::vector<sock_filter> newer = NewerCallsPrefix(arches, LastCalls(seccomp, arches));
    whole.insert(whole.end(), newer.begin(), newer.end());
  }
  whole.insert(whole.end(), body.begin(), body.end());
  program.filter = ToRangeTree(whole);
  if (program.filter.size() > BPF_MAXINSNS) {
    return absl::InvalidArgumentError(
        absl::StrCat("seccomp: ", program.filter.size(), " instructions, the kernel takes 4096"));
  }
  return program;
}

}  // namespace

StatusOr<std::shared_ptr<const SeccompProgram>> SeccompCompiler::Compile(
    const spec::Seccomp& seccomp) {
  spec::Spec holder;
  holder.linux.seccomp = seccomp;
  std::string key = spec::ToJson(holder);
  {
    absl::MutexLock lock(&mutex_);
    auto it = cache_.find(key);
    if (it != cache_.end()) return it->second;
  }
  ASSIGN_OR_RETURN(SeccompProgram compiled, CompileOnce(seccomp));
  auto program = std::make_shared<const SeccompProgram>(std::move(compiled));
  absl::MutexLock lock(&mutex_);
  if (cache_.size() >= kMaxCached) cache_.erase(cache_.begin());
  cache_.emplace(std::move(key), program);
  return program;
}

}  // namespace berth::runtime
