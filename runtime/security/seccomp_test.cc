// SPDX-License-Identifier: Apache-2.0
// Filters are loaded in a child process and tried with real system calls.
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "runtime/security/capabilities.h"
#include "runtime/security/seccomp_compiler.h"
#include "runtime/security/seccomp_profile.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr uint64_t kAdmin = uint64_t{1} << CAP_SYS_ADMIN;

// Runs `probe` under the program; returns what it returns (0 to 255), or 256 + n after signal n.
int Under(const SeccompProgram& program, const std::function<int()>& probe) {
  pid_t pid = fork();
  if (pid == 0) {
    sock_fprog prog = {static_cast<unsigned short>(program.filter.size()),
                       const_cast<sock_filter*>(program.filter.data())};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) != 0) _exit(250);
    _exit(probe());
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The errno of a call under the program, 0 for success.
int ErrnoUnder(const SeccompProgram& program, const std::function<long()>& call) {
  return Under(program, [&] { return call() >= 0 ? 0 : errno; });
}

SeccompProgram Compiled(const spec::Seccomp& seccomp) {
  SeccompCompiler compiler;
  auto program = compiler.Compile(seccomp);
  EXPECT_OK(program);
  return program.ok() ? **program : SeccompProgram();
}

TEST(SeccompDefault, AllowsTheOrdinaryAndDeniesTheRest) {
  SeccompProgram program = Compiled(DefaultSeccompProfile(DefaultCapabilities()));
  EXPECT_GT(program.filter.size(), 100u);
  EXPECT_LE(program.filter.size(), 4096u);
  EXPECT_FALSE(program.notify);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_getpid); }), 0);
  EXPECT_EQ(ErrnoUnder(program, [] { return socket(AF_UNIX, SOCK_STREAM, 0); }), 0);
  EXPECT_EQ(ErrnoUnder(program, [] { return socket(AF_INET6, SOCK_STREAM, 0); }), 0);
  EXPECT_EQ(ErrnoUnder(program, [] { return socket(AF_VSOCK, SOCK_STREAM, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return socket(AF_ALG, SOCK_SEQPACKET, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_unshare, CLONE_NEWUSER); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_mount, "", "", "", 0, ""); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_keyctl, 0, 0, 0, 0, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
  EXPECT_EQ(ErrnoUnder(program, [] { return personality(0xffffffff); }), 0);
  EXPECT_EQ(ErrnoUnder(program, [] { return personality(ADDR_NO_RANDOMIZE); }), EPERM);
  EXPECT_EQ(
      ErrnoUnder(program, [] { return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }),
      EPERM);
  // Fork still works.
  EXPECT_EQ(Under(program,
                  [] {
                    pid_t pid = fork();
                    if (pid == 0) _exit(0);
                    int status;
                    return pid > 0 && waitpid(pid, &status, 0) == pid ? 0 : 1;
                  }),
            0);
}

TEST(SeccompDefault, CallsNewerThanTheProfileAreUnknown) {
  SeccompProgram program = Compiled(DefaultSeccompProfile(DefaultCapabilities()));
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(900); }), ENOSYS);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(0x40000000 + 900); }), ENOSYS);
  // An x32 call that the profile names is what the kernel makes of it.
  const int here = syscall(0x40000000 + SYS_getpid) >= 0 ? 0 : errno;
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(0x40000000 + SYS_getpid); }), here);
}

TEST(SeccompDefault, CapabilitiesOpenTheirCalls) {
  SeccompProgram program = Compiled(DefaultSeccompProfile(kAdmin));
  EXPECT_NE(ErrnoUnder(program, [] { return syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_unshare, 0); }), 0);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_reboot, 0, 0, 0, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_chroot, nullptr); }), EPERM);
  SeccompProgram chroot = Compiled(DefaultSeccompProfile(uint64_t{1} << CAP_SYS_CHROOT));
  EXPECT_EQ(ErrnoUnder(chroot, [] { return syscall(SYS_chroot, nullptr); }), EFAULT);
}

TEST(SeccompCompiler, SkipsNamesThatNobodyKnows) {
  spec::Seccomp seccomp;
  seccomp.default_action = "SCMP_ACT_ALLOW";
  seccomp.syscalls = {{{"no_such_call", "getppid"}, "SCMP_ACT_ERRNO", 11, {}}};
  SeccompProgram program = Compiled(seccomp);
  EXPECT_THAT(program.unknown, Contains("no_such_call"));
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_getppid); }), 11);
  // An allowing default has no notion of newer calls.
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(900); }), ENOSYS);
}

TEST(SeccompCompiler, ActionsAndDefaultErrno) {
  spec::Seccomp seccomp;
  seccomp.default_action = "SCMP_ACT_ALLOW";
  seccomp.syscalls = {{{"getppid"}, "SCMP_ACT_KILL_PROCESS", {}, {}},
                      {{"getuid"}, "SCMP_ACT_TRAP", {}, {}}};
  SeccompProgram program = Compiled(seccomp);
  EXPECT_EQ(Under(program, [] { return static_cast<int>(syscall(SYS_getppid)); }), 256 + SIGSYS);
  EXPECT_EQ(Under(program, [] { return static_cast<int>(syscall(SYS_getuid)); }), 256 + SIGSYS);
  // x32 calls too are the profile's, on every kernel.
  spec::Seccomp killing = DefaultSeccompProfile(0);
  killing.default_action = "SCMP_ACT_KILL_PROCESS";
  EXPECT_EQ(
      Under(Compiled(killing), [] { return static_cast<int>(syscall(0x40000000 + SYS_chroot)); }),
      256 + SIGSYS);
  // With the ordinary calls allowed, since a sanitizer's runtime makes some on its own.
  spec::Seccomp denying = DefaultSeccompProfile(0);
  denying.default_errno_ret = 77;
  EXPECT_EQ(ErrnoUnder(Compiled(denying), [] { return syscall(SYS_chroot, nullptr); }), 77);
}

TEST(SeccompCompiler, SeveralComparisonsOfOneArgumentAreAlternatives) {
  spec::Seccomp seccomp;
  seccomp.default_action = "SCMP_ACT_ALLOW";
  seccomp.syscalls = {{{"close"},
                       "SCMP_ACT_ERRNO",
                       11,
                       {{0, 1000, 0, "SCMP_CMP_EQ"}, {0, 1001, 0, "SCMP_CMP_EQ"}}}};
  SeccompProgram program = Compiled(seccomp);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_close, 1000); }), 11);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_close, 1001); }), 11);
  EXPECT_EQ(ErrnoUnder(program, [] { return syscall(SYS_close, 1002); }), EBADF);
}

TEST(SeccompCompiler, SharesCompiledPrograms) {
  SeccompCompiler compiler;
  spec::Seccomp profile = DefaultSeccompProfile(0);
  auto first = *compiler.Compile(profile);
  EXPECT_EQ(first, *compiler.Compile(profile));
  profile.flags = {"SECCOMP_FILTER_FLAG_LOG"};
  auto second = *compiler.Compile(profile);
  EXPECT_NE(first, second);
  EXPECT_EQ(second->flags, static_cast<uint32_t>(SECCOMP_FILTER_FLAG_LOG));
}

TEST(SeccompProfile, ResolvesDockerConditions) {
  const char* text = R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
    "archMap": [
      {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
      {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
      {"architecture": "SCMP_ARCH_S390X", "subArchitectures": null}],
    "syscalls": [
      {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
      {"name": "write", "action": "SCMP_ACT_ALLOW"},
      {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
      {"names": ["future"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}},
      {"names": ["s390"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}}]})";
  auto names = [](const spec::Seccomp& profile) {
    std::string all;
    for (const auto& rule : profile.syscalls) all += rule.names[0] + " ";
    return all;
  };
  ASSERT_OK_AND_ASSIGN(spec::Seccomp plain, ParseSeccompProfile(text, 0));
  EXPECT_EQ(names(plain), "read write clone ptrace ");
  EXPECT_EQ(plain.architectures.size(), 2u);
  ASSERT_OK_AND_ASSIGN(spec::Seccomp admin, ParseSeccompProfile(text, kAdmin));
  EXPECT_EQ(names(admin), "read write mount ptrace ");
}

TEST(SeccompProfile, RefusesWhatItCannotRead) {
  EXPECT_THAT(ParseSeccompProfile("{}", 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("defaultAction")));
  EXPECT_THAT(ParseSeccompProfile(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],
      "action":"X"}]})",
                                  0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("syscalls[0].action")));
  EXPECT_FALSE(ParseSeccompProfile(std::string(kMaxSeccompProfileBytes + 1, ' '), 0).ok());
  EXPECT_THAT(LoadSeccompProfile("profiles/x.json", 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not an absolute")));
  EXPECT_THAT(LoadSeccompProfile("/nonexistent/x.json", 0),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("seccomp profile")));
}

}  // namespace
}  // namespace berth::runtime
