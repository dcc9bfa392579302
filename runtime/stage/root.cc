// SPDX-License-Identifier: Apache-2.0
// Steps that build the root: every path through openat2 inside the root, every mount by
// descriptor.
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "runtime/stage/plan_run.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

using wire::Op;
using wire::Step;

inline constexpr size_t kMaxPath = 4096;
inline constexpr long kProcMagic = 0x9fa0;

int OpenRoot(PlanRun* run) {
  if (run->root >= 0) return 0;
  int fd = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  run->root = fd;
  return 0;
}

// Splits off the last component: `parent` gets the rest. nullptr for "..", "." or an empty name.
const char* LastName(const char* path, char* parent) {
  size_t size = strlen(path);
  while (size > 0 && path[size - 1] == '/') --size;
  size_t start = size;
  while (start > 0 && path[start - 1] != '/') --start;
  if (size == start || size >= kMaxPath) return nullptr;
  memcpy(parent, path, size);
  parent[size] = 0;
  // The name stays behind the parent's NUL.
  static char name[kMaxPath];
  memcpy(name, parent + start, size - start + 1);
  parent[start] = 0;
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return nullptr;
  return name;
}

int ParentOf(PlanRun* run, const char* path, const char** name) {
  char parent[kMaxPath];
  *name = LastName(path, parent);
  if (*name == nullptr) return -EINVAL;
  return MakeDirs(run, parent[0] == 0 ? "/" : parent, 0755);
}

int MakeFile(PlanRun* run, const char* path) {
  const char* name;
  Fd parent(ParentOf(run, path, &name));
  if (!parent.ok()) return parent.get();
  int fd = ::openat(parent.get(), name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) return errno == EEXIST ? 0 : -errno;
  ::close(fd);
  return 0;
}

// Only who names procfs in the request may mount there, not whom a link of the image leads there.
// Those paths were checked when the plan was made; /proc/net, say, is itself a link.
int RefuseLinkIntoProc(PlanRun* run, const char* path, int target) {
  struct statfs fs;
  if (::fstatfs(target, &fs) < 0) return -errno;
  if (fs.f_type != kProcMagic || strncmp(path, "/proc/", 6) == 0) return 0;
  Fd direct(Resolve(run, path, O_PATH, kResolveNoSymlinks));
  return direct.ok() ? 0 : direct.get();
}

int FindTarget(PlanRun* run, const char* path, uint64_t extra_resolve) {
  Fd target(Resolve(run, path, O_PATH, extra_resolve));
  if (!target.ok()) return target.get();
  int r = RefuseLinkIntoProc(run, path, target.get());
  return r < 0 ? r : target.Release();
}

// The place a mount goes to, made if the step says so.
int Target(PlanRun* run, const Step& step, uint64_t extra_resolve) {
  const char* path = run->Text(step.a);
  int target = FindTarget(run, path, extra_resolve);
  if (target != -ENOENT || (step.flags & (wire::kCreateDir | wire::kCreateFile)) == 0) {
    return target;
  }
  if ((step.flags & wire::kCreateDir) != 0) {
    int dir = MakeDirs(run, path, 0755);
    if (dir < 0) return dir;
    ::close(dir);
  } else if (int r = MakeFile(run, path); r < 0) {
    return r;
  }
  return FindTarget(run, path, extra_resolve);
}

int SetPropagation(int fd, uint64_t propagation) {
  if (propagation == 0) return 0;
  MountAttr attr = {0, 0, propagation & ~static_cast<uint64_t>(MS_REC), 0};
  return MountSetattr(fd, (propagation & MS_REC) != 0, attr);
}

int TakeRoot(PlanRun* run, const Step& step) {
  int place = ::open("/r", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (place < 0) return -errno;
  int r = MoveMount(run->fds[step.fd], place);
  ::close(place);
  if (r < 0) return r;
  run->root = run->fds[step.fd];
  run->made_root = true;
  return SetPropagation(run->root, step.arg);
}

int Attach(PlanRun* run, const Step& step) {
  Fd target(Target(run, step, 0));
  if (!target.ok()) return target.get();
  if (int r = MoveMount(run->fds[step.fd], target.get()); r < 0) return r;
  return SetPropagation(run->fds[step.fd], step.arg);
}

// "fstype\0key=value\0flag\0..."
int MakeFs(PlanRun* run, const Step& step) {
  const char* type = run->Text(step.b);
  const char* end = type + step.b.size;
  Fd fs(FsOpen(type));
  if (!fs.ok()) return fs.get();
  for (const char* option = type + strlen(type) + 1; option < end; option += strlen(option) + 1) {
    const char* equals = strchr(option, '=');
    int r;
    if (equals == nullptr) {
      r = FsFlag(fs.get(), option);
    } else {
      char key[256];
      size_t size = static_cast<size_t>(equals - option);
      if (size >= sizeof key) return -EINVAL;
      memcpy(key, option, size);
      key[size] = 0;
      r = FsString(fs.get(), key, equals + 1);
    }
    if (r < 0) return r;
  }
  if (int r = FsCreate(fs.get()); r < 0) return r;
  return FsMount(fs.get(), static_cast<unsigned>(step.arg));
}

int MountFs(PlanRun* run, const Step& step) {
  const char* type = run->Text(step.b);
  // An image's symbolic link must not decide where procfs or sysfs appears.
  bool strict = strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0;
  Fd mount(MakeFs(run, step));
  if (!mount.ok()) {
    bool missing = mount.get() == -ENODEV || mount.get() == -EOPNOTSUPP;
    return missing && (step.flags & wire::kOptional) != 0 ? 0 : mount.get();
  }
  Fd target(Target(run, step, strict ? kResolveNoSymlinks : 0));
  if (!target.ok()) return target.get();
  return MoveMount(mount.get(), target.get());
}

int Symlink(PlanRun* run, const Step& step) {
  const char* name;
  Fd parent(ParentOf(run, run->Text(step.a), &name));
  if (!parent.ok()) return parent.get();
  if (::symlinkat(run->Text(step.b), parent.get(), name) < 0 && errno != EEXIST) return -errno;
  return 0;
}

int MaskDirectory(PlanRun* run, int target) {
  if (run->mask_dir >= 0) {
    Fd copy(OpenTree(run->mask_dir, kOpenTreeClone));
    return copy.ok() ? MoveMount(copy.get(), target) : copy.get();
  }
  Fd fs(FsOpen("tmpfs"));
  if (!fs.ok()) return fs.get();
  if (int r = FsString(fs.get(), "size", "0"); r < 0) return r;
  if (int r = FsString(fs.get(), "nr_inodes", "1"); r < 0) return r;
  if (int r = FsCreate(fs.get()); r < 0) return r;
  int mount =
      FsMount(fs.get(), kMountAttrRdonly | kMountAttrNosuid | kMountAttrNodev | kMountAttrNoexec);
  if (mount < 0) return mount;
  run->mask_dir = mount;
  return MoveMount(mount, target);
}

// A detached mount can be cloned only from 6.15 on, an attached one always: so the first use
// attaches it and later ones clone it.
int MaskFile(PlanRun* run, int index, int target) {
  uint64_t bit = 1ull << (index % 64);
  uint64_t* word = &run->cloned_masks[index / 64];
  if ((*word & bit) == 0) {
    *word |= bit;
    return MoveMount(run->fds[index], target);
  }
  Fd copy(OpenTree(run->fds[index], kOpenTreeClone));
  return copy.ok() ? MoveMount(copy.get(), target) : copy.get();
}

int Mask(PlanRun* run, const Step& step) {
  Fd target(Resolve(run, run->Text(step.a), O_PATH));
  if (target.get() == -ENOENT || target.get() == -ENOTDIR) return 0;
  if (!target.ok()) return target.get();
  struct stat info;
  if (::fstat(target.get(), &info) < 0) return -errno;
  if (S_ISDIR(info.st_mode)) return MaskDirectory(run, target.get());
  return MaskFile(run, step.fd, target.get());
}

int Readonly(PlanRun* run, const Step& step) {
  Fd target(Resolve(run, run->Text(step.a), O_PATH));
  if (target.get() == -ENOENT || target.get() == -ENOTDIR) return 0;
  if (!target.ok()) return target.get();
  Fd copy(OpenTree(target.get(), kOpenTreeClone | kAtRecursive));
  if (!copy.ok()) return copy.get();
  if (int r = MountSetattr(copy.get(), true, MountAttr{kMountAttrRdonly, 0, 0, 0}); r < 0) return r;
  return MoveMount(copy.get(), target.get());
}

int Volume(PlanRun* run, const Step& step) {
  const char* path = run->Text(step.a);
  Fd target(MakeDirs(run, path, 0755));
  if (!target.ok()) return target.get();
  if (int r = RefuseLinkIntoProc(run, path, target.get()); r < 0) return r;
  Fd copy(OpenTree(target.get(), kOpenTreeClone));
  return copy.ok() ? MoveMount(copy.get(), target.get()) : copy.get();
}

int Relabel(PlanRun* run, const Step& step) {
  Fd target(Resolve(run, run->Text(step.a), O_RDONLY | O_DIRECTORY));
  if (!target.ok()) return target.get();
  const char* label = run->Text(step.b);
  bool done = ::fsetxattr(target.get(), "security.selinux", label, step.b.size + 1, 0) == 0;
  return done ? 0 : -errno;
}

int Pivot(PlanRun* run, const Step& step) {
  if (::fchdir(run->root) < 0) return -errno;
  if (long r = Call(SYS_pivot_root, ".", "."); r < 0) return static_cast<int>(r);
  // The old root lies on top of the new one at this path.
  if (::umount2(".", MNT_DETACH) < 0) return -errno;
  if (::chdir("/") < 0) return -errno;
  return SetPropagation(run->root, step.arg);
}

}  // namespace

int Resolve(PlanRun* run, const char* path, uint64_t flags, uint64_t extra_resolve) {
  if (int r = OpenRoot(run); r < 0) return r;
  return OpenAt2(run->root, path, flags, kResolveInRoot | kResolveNoMagiclinks | extra_resolve);
}

int MakeDirs(PlanRun* run, const char* path, uint32_t mode) {
  int whole = Resolve(run, path, O_PATH | O_DIRECTORY);
  if (whole != -ENOENT) return whole;
  char prefix[kMaxPath];
  size_t size = strlen(path);
  if (size >= kMaxPath) return -ENAMETOOLONG;
  memcpy(prefix, path, size + 1);
  Fd dir(Resolve(run, "/", O_PATH | O_DIRECTORY));
  if (!dir.ok()) return dir.get();
  for (char* at = prefix; *at != 0;) {
    while (*at == '/') ++at;
    if (*at == 0) break;
    char* name = at;
    while (*at != 0 && *at != '/') ++at;
    char saved = *at;
    *at = 0;
    // Each prefix is resolved anew from the root, so that links in it are followed inside.
    int next = Resolve(run, prefix, O_PATH | O_DIRECTORY);
    if (next == -ENOENT) {
      if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0) return -EINVAL;
      if (::mkdirat(dir.get(), name, mode) < 0 && errno != EEXIST) return -errno;
      next = OpenAt2(dir.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW,
                     kResolveBeneath | kResolveNoSymlinks);
    }
    if (next < 0) return next;
    dir.Reset(next);
    *at = saved;
  }
  return dir.Release();
}

int RootStep(PlanRun* run, const Step& step) {
  switch (step.op) {
    case Op::kRoot:
      return TakeRoot(run, step);
    case Op::kAttach:
      return Attach(run, step);
    case Op::kMountFs:
      return MountFs(run, step);
    case Op::kMkdir:
    case Op::kMakeCwd: {
      int dir = MakeDirs(run, run->Text(step.a),
                         step.op == Op::kMkdir ? static_cast<uint32_t>(step.arg) : 0755);
      if (dir < 0) return dir;
      ::close(dir);
      return 0;
    }
    case Op::kSymlink:
      return Symlink(run, step);
    case Op::kMask:
      return Mask(run, step);
    case Op::kReadonly:
      return Readonly(run, step);
    case Op::kVolume:
      return Volume(run, step);
    case Op::kRelabel:
      return Relabel(run, step);
    case Op::kPivot:
      return Pivot(run, step);
    case Op::kRootReadonly:
      return MountSetattr(run->root, false, MountAttr{kMountAttrRdonly, 0, 0, 0});
    default:
      return -ENOSYS;
  }
}

}  // namespace berth::stage
