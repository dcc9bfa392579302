// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/sys.h"
#include "runtime/mount/bind_source.h"
#include "runtime/mount/detached.h"
#include "runtime/mount/dev_tree.h"
#include "runtime/mount/image_volume.h"
#include "runtime/mount/namespace_thread.h"
#include "runtime/mount/rootfs.h"
#include "runtime/mount/vault.h"
#include "test/support/kernel.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::_;
using ::testing::HasSubstr;

class MountTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    char name[] = "/tmp/berth_mount_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    mounts_before_ = *ReadFile("/proc/self/mountinfo", 64 << 20);
  }
  void TearDown() override {
    if (directory_.empty()) return;
    EXPECT_EQ(*ReadFile("/proc/self/mountinfo", 64 << 20), mounts_before_);
    std::filesystem::remove_all(directory_);
  }

  std::string Make(const std::string& name) {
    std::string path = directory_ + "/" + name;
    std::filesystem::create_directories(path);
    return path;
  }
  void Write(const std::string& path, const std::string& text) {
    UniqueFd fd = *sys::Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_OK(WriteAll(fd.get(), text));
  }
  std::string Read(int directory, const std::string& name) {
    StatusOr<UniqueFd> fd = sys::OpenAt(directory, name, O_RDONLY);
    if (!fd.ok()) return fd.status().ToString();
    return *ReadAll(fd->get(), 1 << 20, name);
  }
  // `count` layers; each has a file of its own and all have "same". Long names, as digests are.
  RootfsSpec Layers(int count) {
    RootfsSpec rootfs;
    for (int i = 0; i < count; ++i) {
      std::string path = Make("layers/" + std::string(64, 'a') + std::to_string(i) + "/fs");
      Write(path + "/only" + std::to_string(i), std::to_string(i));
      Write(path + "/same", std::to_string(i));
      rootfs.lower.push_back(path);
    }
    rootfs.upper = Make("upper");
    rootfs.work = Make("work");
    return rootfs;
  }

  std::string directory_;
  std::string mounts_before_;
};

class RootfsTest : public MountTest, public testing::WithParamInterface<OverlayMethod> {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped() && GetParam() == OverlayMethod::kNewApi && !KernelIsAtLeast(6, 8)) {
      GTEST_SKIP() << "needs Linux 6.8";
    }
  }
};

TEST_P(RootfsTest, StacksManyLayers) {
  RootfsSpec rootfs = Layers(120);
  ASSERT_OK_AND_ASSIGN(UniqueFd root, MountRootfs(rootfs, GetParam()));
  EXPECT_EQ(Read(root.get(), "same"), "0");  // the topmost layer's
  EXPECT_EQ(Read(root.get(), "only119"), "119");
  UniqueFd file = *sys::OpenAt(root.get(), "new", O_WRONLY | O_CREAT, 0600);
  ASSERT_OK(WriteAll(file.get(), "x"));
  EXPECT_EQ(access((rootfs.upper + "/new").c_str(), F_OK), 0);
  // Volatile: the kernel left its mark.
  EXPECT_EQ(access((rootfs.work + "/work/incompat/volatile").c_str(), F_OK), 0);
}

TEST_P(RootfsTest, TakesOverWhatAnotherDaemonMountedVolatile) {
  RootfsSpec rootfs = Layers(2);
  { ASSERT_OK_AND_ASSIGN(UniqueFd root, MountRootfs(rootfs, GetParam())); }
  EXPECT_OK(MountRootfs(rootfs, GetParam()));
}

TEST_P(RootfsTest, NamesTheMissingDirectory) {
  RootfsSpec rootfs = Layers(3);
  rootfs.lower[1] += "gone";
  EXPECT_THAT(MountRootfs(rootfs, GetParam()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(rootfs.lower[1])));
}

INSTANTIATE_TEST_SUITE_P(Both, RootfsTest,
                         testing::Values(OverlayMethod::kNewApi, OverlayMethod::kByPath),
                         [](const auto& method) {
                           return method.param == OverlayMethod::kNewApi ? "NewApi" : "ByPath";
                         });

TEST_F(MountTest, LayersAloneAreReadOnly) {
  for (int count : {1, 3}) {
    RootfsSpec rootfs = Layers(count);
    ASSERT_OK_AND_ASSIGN(UniqueFd root, MountLayers(rootfs));
    EXPECT_EQ(Read(root.get(), "same"), "0");
    EXPECT_THAT(sys::OpenAt(root.get(), "new", O_WRONLY | O_CREAT, 0600).status(),
                StatusIs(_, HasSubstr("Read-only")));
  }
}

// Where the kernel has no SELinux it refuses the option: no way of mounting may leave it out.
TEST_F(MountTest, LabelsAreNeverLeftOut) {
  if (access("/sys/fs/selinux/context", F_OK) == 0) GTEST_SKIP() << "SELinux is on";
  const std::string label = "u:o:f_t:s0:c1,c2";
  for (OverlayMethod method :
       {OverlayMethod::kBest, OverlayMethod::kNewApi, OverlayMethod::kByPath}) {
    EXPECT_FALSE(MountRootfs(Layers(2), method, {}, label).ok());
    RootfsSpec one;
    one.lower = Layers(1).lower;
    EXPECT_OK(MountRootfs(one, method));
    EXPECT_FALSE(MountRootfs(one, method, {}, label).ok());
  }
  MountOptions dev;
  AddMountLabel(label, &dev);
  EXPECT_FALSE(MakeDevTree({}, false, dev).ok());
  ASSERT_OK_AND_ASSIGN(MountVault vault, MountVault::Create(directory_));
  EXPECT_FALSE(vault.EnsureTmpfs("pod", 4096, 0, 0, label).ok());
}

TEST_F(MountTest, LongPathsFallBackToNames) {
  RootfsSpec rootfs = Layers(2);
  std::string deep = Make(std::string(200, 'd') + "/" + std::string(200, 'e'));
  Write(deep + "/deep", "yes");
  rootfs.lower.push_back(deep);
  ASSERT_OK_AND_ASSIGN(UniqueFd root, MountRootfs(rootfs));
  EXPECT_EQ(Read(root.get(), "deep"), "yes");
}

TEST_F(MountTest, RefusesBadRoots) {
  EXPECT_THAT(MountRootfs(RootfsSpec{}), StatusIs(absl::StatusCode::kInvalidArgument, _));
  RootfsSpec rootfs = Layers(2);
  rootfs.lower[0] = "relative";
  EXPECT_THAT(MountRootfs(rootfs), StatusIs(absl::StatusCode::kInvalidArgument, _));
  rootfs = Layers(2);
  rootfs.work.clear();
  EXPECT_THAT(MountRootfs(rootfs), StatusIs(absl::StatusCode::kInvalidArgument, _));
  rootfs.lower.assign(501, rootfs.upper);
  rootfs.upper.clear();
  EXPECT_THAT(MountRootfs(rootfs), StatusIs(absl::StatusCode::kInvalidArgument, _));
}

spec::Mount Bind(const std::string& source, std::vector<std::string> options) {
  spec::Mount mount;
  mount.destination = "/data";
  mount.type = "bind";
  mount.source = source;
  mount.options = std::move(options);
  return mount;
}

TEST_F(MountTest, BindsWithOptions) {
  std::string path = Make("volume");
  spec::Mount mount = Bind(path, {"rbind", "ro", "nosuid", "noexec", "nodev"});
  ASSERT_OK_AND_ASSIGN(BindSource source, OpenBindSource(mount, *ParseMountOptions(mount)));
  EXPECT_TRUE(source.directory);
  struct statvfs info = {};
  ASSERT_EQ(fstatvfs(source.mount.get(), &info), 0);
  EXPECT_EQ(info.f_flag & (ST_RDONLY | ST_NOSUID | ST_NOEXEC | ST_NODEV),
            static_cast<unsigned long>(ST_RDONLY | ST_NOSUID | ST_NOEXEC | ST_NODEV));
}

TEST_F(MountTest, BindsFilesAndMakesMissingDirectories) {
  Write(directory_ + "/file", "x");
  spec::Mount mount = Bind(directory_ + "/file", {"bind"});
  ASSERT_OK_AND_ASSIGN(BindSource source, OpenBindSource(mount, *ParseMountOptions(mount)));
  EXPECT_FALSE(source.directory);
  mount = Bind(directory_ + "/not/there", {"bind"});
  ASSERT_OK_AND_ASSIGN(source, OpenBindSource(mount, *ParseMountOptions(mount)));
  EXPECT_TRUE(source.directory);
  EXPECT_TRUE(std::filesystem::is_directory(directory_ + "/not/there"));
  mount = Bind("relative", {"bind"});
  EXPECT_THAT(OpenBindSource(mount, *ParseMountOptions(mount)),
              StatusIs(absl::StatusCode::kInvalidArgument, _));
}

TEST_F(MountTest, PropagationNeedsASharedSource) {
  // In a namespace whose mounts are all private no source is shared.
  std::string path = Make("volume");
  Status slave, shared;
  ASSERT_OK(RunInPrivateMountNamespace([&]() -> Status {
    if (mount("x", path.c_str(), "tmpfs", 0, nullptr) != 0) return ErrnoError(errno, "mount");
    spec::Mount volume = Bind(path, {"rbind", "rslave"});
    slave = OpenBindSource(volume, *ParseMountOptions(volume)).status();
    volume = Bind(path, {"rbind", "rshared"});
    shared = OpenBindSource(volume, *ParseMountOptions(volume)).status();
    return absl::OkStatus();
  }));
  EXPECT_THAT(slave, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a shared")));
  EXPECT_THAT(shared, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a shared")));
}

TEST_F(MountTest, NothingButProcfsOnProc) {
  spec::Mount mount = Bind(Make("fake"), {"bind"});
  mount.destination = "/proc";
  EXPECT_THAT(OpenBindSource(mount, *ParseMountOptions(mount)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("procfs")));
  mount.source = "/proc";
  EXPECT_OK(OpenBindSource(mount, *ParseMountOptions(mount)));
}

TEST_F(MountTest, DevHasItsNodes) {
  spec::Device fuse;
  fuse.path = "/dev/net/fuse";
  fuse.major = 10;
  fuse.minor = 229;
  fuse.file_mode = 0640;
  fuse.gid = 42;
  spec::Device null;
  null.path = "/dev/null";
  null.major = 8;  // an attempt to replace a default node
  MountOptions options;
  options.data = {"mode=755", "size=64k"};
  mode_t old = umask(077);
  StatusOr<UniqueFd> tree = MakeDevTree({fuse, null}, /*console=*/true, options);
  umask(old);
  ASSERT_OK(tree);
  struct stat info = {};
  ASSERT_EQ(fstatat(tree->get(), "null", &info, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(info.st_rdev, makedev(1, 3));
  EXPECT_EQ(info.st_mode, mode_t{S_IFCHR | 0666});
  ASSERT_EQ(fstatat(tree->get(), "net/fuse", &info, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(info.st_rdev, makedev(10, 229));
  EXPECT_EQ(info.st_mode, mode_t{S_IFCHR | 0640});
  EXPECT_EQ(info.st_gid, 42u);
  ASSERT_EQ(fstatat(tree->get(), "net", &info, 0), 0);
  EXPECT_EQ(info.st_mode, mode_t{S_IFDIR | 0755});
  char target[64] = {};
  EXPECT_EQ(readlinkat(tree->get(), "ptmx", target, sizeof target), 8);
  EXPECT_STREQ(target, "pts/ptmx");
  ASSERT_EQ(fstatat(tree->get(), "console", &info, 0), 0);
  EXPECT_TRUE(S_ISREG(info.st_mode));
  // The nodes work there.
  EXPECT_EQ(Read(tree->get(), "null"), "");
}

TEST_F(MountTest, DevicesStayBelowDev) {
  spec::Device device;
  device.path = "/etc/node";
  EXPECT_THAT(MakeDevTree({device}, false, {}), StatusIs(absl::StatusCode::kUnimplemented, _));
  device.path = "/dev/../etc/node";
  EXPECT_THAT(MakeDevTree({device}, false, {}), StatusIs(absl::StatusCode::kInvalidArgument, _));
}

TEST_F(MountTest, VaultSharesOneTmpfs) {
  ASSERT_OK_AND_ASSIGN(MountVault vault, MountVault::Create(Make("point")));
  EXPECT_THAT(vault.Clone("pod"), StatusIs(absl::StatusCode::kNotFound, _));
  ASSERT_OK(vault.EnsureTmpfs("pod", 1 << 20));
  ASSERT_OK(vault.EnsureTmpfs("pod", 1 << 20));
  ASSERT_OK_AND_ASSIGN(UniqueFd first, vault.Clone("pod"));
  ASSERT_OK_AND_ASSIGN(UniqueFd second, vault.Clone("pod"));
  UniqueFd file = *sys::OpenAt(first.get(), "shared", O_WRONLY | O_CREAT, 0600);
  ASSERT_OK(WriteAll(file.get(), "seen"));
  EXPECT_EQ(Read(second.get(), "shared"), "seen");
  struct statvfs info = {};
  ASSERT_EQ(fstatvfs(second.get(), &info), 0);
  EXPECT_EQ(info.f_blocks * info.f_frsize, 1u << 20);

  // A restarted daemon has the namespace only.
  MountVault again(*sys::Dup(vault.namespace_fd()));
  EXPECT_OK(again.Clone("pod"));
  ASSERT_OK(again.Remove("pod"));
  ASSERT_OK(again.Remove("pod"));
  EXPECT_THAT(again.Clone("pod"), StatusIs(absl::StatusCode::kNotFound, _));
  EXPECT_EQ(Read(second.get(), "shared"), "seen");
}

TEST_F(MountTest, VaultPinsNoHostMount) {
  ASSERT_OK_AND_ASSIGN(MountVault vault, MountVault::Create(Make("point")));
  std::string table;
  ASSERT_OK(RunInMountNamespace(vault.namespace_fd(), [&]() -> Status {
    StatusOr<UniqueFd> proc = sys::FsOpen("proc");
    if (!proc.ok()) return proc.status();
    RETURN_IF_ERROR(sys::FsConfigCreate(proc->get()));
    StatusOr<UniqueFd> root = sys::FsMount(proc->get(), 0);
    if (!root.ok()) return root.status();
    table = Read(root->get(), "thread-self/mountinfo");
    return absl::OkStatus();
  }));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 1) << table;
}

spec::Mount VolumeMount(const std::string& sub_path) {
  spec::Mount mount;
  mount.destination = "/data";
  mount.type = spec::kImageMount;
  mount.source = "sha256:1234";
  mount.options = {"ro", "noexec"};
  if (!sub_path.empty()) mount.options.push_back("subpath=" + sub_path);
  return mount;
}

StatusOr<ImageVolume> OpenVolume(const RootfsSpec& layers, const std::string& sub_path) {
  const spec::Mount mount = VolumeMount(sub_path);
  ASSIGN_OR_RETURN(MountOptions options, ParseMountOptions(mount));
  return OpenImageVolume(mount, options, layers);
}

TEST_F(MountTest, ImageVolumeShowsLayersOrAPartOfThem) {
  for (int count : {1, 2}) {
    const RootfsSpec layers = {Layers(count).lower, "", ""};
    std::filesystem::create_directories(layers.lower[0] + "/part");
    Write(layers.lower[0] + "/part/file", "content");
    std::filesystem::remove(layers.lower[0] + "/link");
    std::filesystem::create_symlink("/part", layers.lower[0] + "/link");
    ASSERT_OK_AND_ASSIGN(ImageVolume whole, OpenVolume(layers, ""));
    EXPECT_EQ(Read(whole.mount.get(), "part/file"), "content");
    EXPECT_FALSE(sys::OpenAt(whole.mount.get(), "new", O_WRONLY | O_CREAT, 0644).ok());
    struct statvfs info = {};
    ASSERT_EQ(fstatvfs(whole.mount.get(), &info), 0);
    EXPECT_EQ(info.f_flag & (ST_RDONLY | ST_NOEXEC), unsigned{ST_RDONLY | ST_NOEXEC});
    for (const char* path : {"part", "link", "./part/"}) {
      ASSERT_OK_AND_ASSIGN(ImageVolume part, OpenVolume(layers, path));
      EXPECT_TRUE(part.directory);
      EXPECT_EQ(Read(part.mount.get(), "file"), "content") << path;
    }
    ASSERT_OK_AND_ASSIGN(ImageVolume file, OpenVolume(layers, "part/file"));
    EXPECT_FALSE(file.directory);
  }
}

TEST_F(MountTest, ImageVolumeStaysInsideOfTheImage) {
  const RootfsSpec layers = {Layers(2).lower, "", ""};
  std::filesystem::create_symlink("../../../../etc", layers.lower[0] + "/up");
  ASSERT_EQ(mkfifo((layers.lower[0] + "/fifo").c_str(), 0644), 0);
  for (const auto& [path, code] : {std::pair{"../x", absl::StatusCode::kInvalidArgument},
                                   {"a/..", absl::StatusCode::kInvalidArgument},
                                   {"/a", absl::StatusCode::kInvalidArgument},
                                   {"fifo", absl::StatusCode::kInvalidArgument},
                                   {"up/passwd", absl::StatusCode::kNotFound},
                                   {"missing", absl::StatusCode::kNotFound}}) {
    EXPECT_THAT(OpenVolume(layers, path).status(),
                StatusIs(code, testing::StartsWith("ImageVolumeMountFailed: mount /data")))
        << path;
  }
}

}  // namespace
}  // namespace berth::runtime
