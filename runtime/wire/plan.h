// SPDX-License-Identifier: Apache-2.0
// The plan: a flat list of steps plus descriptors that tells `stage` how to make one pod, one
// container or one exec'd process. The daemon writes it into a memfd; the child that executes it
// is the only reader. Shared by daemon and stage: freestanding, no library, fixed layout.
//
// Layout of the memfd: Header | Step[step_count] | byte area. Slices point into the byte area.
// Descriptors travel beside the plan in request order; Step::fd is an index into them.
// Validate() is the only decoder; nothing else may interpret a plan.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace berth::wire {

inline constexpr uint32_t kPlanMagic = 0x62706c6e;  // "bpln"
inline constexpr uint32_t kPlanVersion = 1;
inline constexpr uint32_t kMaxPlanBytes = 8u << 20;
inline constexpr uint32_t kMaxPlanSteps = 4096;
inline constexpr uint32_t kMaxPlanFds = 1012;  // four messages of 253
inline constexpr int32_t kNoFd = -1;

// A range of the byte area. Where a step wants a string, the byte after the range is NUL and the
// range itself holds none.
struct Slice {
  uint32_t offset;
  uint32_t size;
};

// "path" below always means a path inside the container's root, resolved by openat2 with
// RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS from the root's descriptor, before and after pivot alike.
enum class Op : uint16_t {
  kInvalid = 0,
  // --- namespaces and cgroups
  kSetns = 1,        // fd: nsfs or pidfd; arg: CLONE_NEW* flags for setns(2)
  kUnshare = 2,      // arg: CLONE_NEW* flags (the cgroup namespace, after attaching)
  kCgroupTasks = 3,  // fd: an open v1 `tasks` file; writes "0", which skips the RCU wait
  kGate = 4,         // arg: gate number; blocks until the daemon opens it
  kHostname = 5,     // a: name (sethostname)
  kDomainname = 6,   // a: name
  kSysctl = 7,       // a: path below /proc/sys with '/', b: value
  kLoopbackUp = 8,   // brings `lo` up in the current network namespace
  kHandOver = 9,     // arg: CLONE_NEW*; the rest of the plan runs in a sibling that is cloned with
                     // them: a PID namespace belongs to the user namespace of who makes it. Needs
                     // kLaunchHandsOver
  // --- the root, built in a fresh mount namespace cloned from the spawner's tiny one
  kRoot = 20,      // fd: detached mount; becomes the (not yet pivoted) root. Exactly one, before
                   // any step with a path. arg: propagation to set on it (MS_PRIVATE, ...)
  kAttach = 21,    // fd: detached mount tree -> a: path. flags: kCreateDir or kCreateFile makes
                   // the mount point (and its parents, 0755) if missing; arg: MS_SHARED, MS_SLAVE
                   // or MS_PRIVATE (with MS_REC) to set on the attached mount, 0: leave
  kMountFs = 22,   // a: path; b: "fstype\0key=value\0flag\0..." for fsopen/fsconfig; arg:
                   // MOUNT_ATTR_*; flags: kCreateDir, kOptional (skip if the kernel lacks it)
  kMkdir = 23,     // a: path; arg: mode
  kSymlink = 24,   // a: path of the link, b: its target; an existing entry stays
  kMask = 25,      // a: path; fd: detached mount to hide files with (an opened /dev/null);
                   // directories get a read-only empty tmpfs; a missing path is fine
  kReadonly = 26,  // a: path; recursive read-only bind onto itself; a missing path is fine
  kPivot = 27,     // pivot_root into the root, old root detached. arg: propagation of "/" after
  kRootReadonly = 28,
  kConsole = 29,  // opens a pty from the container's own /dev/pts, sends the master to the
                  // monitor, puts the slave on 0, 1, 2, makes it the controlling terminal and
                  // binds it on /dev/console. arg: rows << 16 | columns
  kVolume = 30,   // a: path; made (0755) if missing, then bound onto itself: stays writable below a
                  // read-only root
  kRelabel = 31,  // a: path of a directory; b: its SELinux context
  // --- the process
  kStdio = 40,  // fd -> arg: 0, 1 or 2
  kSetsid = 41,
  kUmask = 42,   // arg
  kRlimit = 43,  // arg: resource; a: 16 bytes, soft then hard (uint64); flags: kClamp clamps to
                 // the hard limit that may be set
  kOomScoreAdj = 44,  // arg: int64 score; flags: kClamp clamps to what may be set
  kScheduler = 45,    // a: struct sched_attr
  kIoPriority = 46,   // arg
  kLsmLabel = 47,     // a: "apparmor" or "selinux"; b: label; fails if the LSM is absent
  kPersonality = 48,  // arg
  kNewKeyring = 49,
  kMakeCwd = 50,      // a: path; mkdir -p as root, before credentials
  kCapBounding = 51,  // arg: bits that stay
  kUser = 52,         // arg: uid << 32 | gid; a: supplementary gids (uint32 each). setgroups is
                      // always called; keeps capabilities over the change
  kCapsets = 53,      // a: effective, permitted, inheritable, ambient (uint64 each)
  kNoNewPrivs = 54,
  kSeccomp = 55,     // a: struct sock_filter[]; arg: SECCOMP_FILTER_FLAG_*
  kCwd = 56,         // a: path; chdir after credentials, then getcwd must be inside the root
  kStdioOwner = 58,  // arg: uid << 32 | gid; gives them the pipes on 0, 1 and 2
  kDupFd = 57,       // fd -> arg: a number >= 3 that stays open over exec (preserved descriptors)
  // --- the end: exactly one, last
  kExec = 70,   // a: "argv0\0argv1\0"; b: "K=V\0K=V\0"; looks argv0 up in PATH of b inside the
                // root when it has no '/'
  kPause = 71,  // becomes the pause process: reaps until SIGTERM or SIGINT
  kDone = 72,   // exits 0: the namespaces were the purpose
};

enum StepFlags : uint16_t {
  kCreateDir = 1,
  kCreateFile = 2,
  kOptional = 4,
  kClamp = 8,
  kRaise = 16,  // of kRlimit: only lifts a hard limit that is below the one given
};

struct Step {
  Op op;
  uint16_t flags;
  int32_t fd;  // index or kNoFd
  uint64_t arg;
  Slice a;
  Slice b;
};
static_assert(sizeof(Step) == 32);

struct Header {
  uint32_t magic;
  uint32_t version;
  uint32_t size;  // of the whole plan
  uint32_t step_count;
  uint32_t fd_count;
  uint32_t reserved;
  uint64_t clone_flags;  // CLONE_NEW* for the clone that makes the process
};
static_assert(sizeof(Header) == 32);

// A plan after Validate: pointers into the caller's memory.
struct PlanView {
  const Header* header;
  const Step* steps;
  const char* bytes;
  uint32_t byte_count;
};

// What a child reports when a step fails: index of the step and errno. Written once to the error
// pipe, which closes on a successful exec.
struct StepFailure {
  uint32_t step;  // index, or one of the values below
  int32_t error;
};
inline constexpr uint32_t kNoStep = 0xffffffff;       // the plan itself was refused
inline constexpr uint32_t kCloneStep = 0xfffffffe;    // clone3 (namespaces, cgroup)
inline constexpr uint32_t kJoinStep = 0xfffffffd;     // joining the PID namespace
inline constexpr uint32_t kPrepareStep = 0xfffffffc;  // pipes, journals
inline constexpr uint32_t kDiedStep = 0xfffffffb;     // killed before its program ran
inline constexpr uint32_t kMapStep = 0xfffffffa;      // writing the user namespace's maps

// Checks everything that can be checked without the kernel: magic, version, sizes, every slice
// inside the byte area and terminated where text is due, every descriptor index in range, known
// operations, order (a step with a path follows kRoot or a kSetns with CLONE_NEWNS; the end last
// and once). Steps are 8-byte aligned if `data` is. Allocation-free. On failure returns false and
// leaves `view` untouched.
bool Validate(const void* data, size_t size, PlanView* view);

}  // namespace berth::wire
