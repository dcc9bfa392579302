// SPDX-License-Identifier: Apache-2.0
// berth-unpack as a process: what it may do while it works, and how it ends.
#include "images/unpack/launcher.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/sys.h"
#include "images/unpack/tar_builder.h"
#include "test/support/paths.h"
#include "test/support/status_matchers.h"

namespace berth::images::unpack {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string Unpacker() { return TestBinaryDir() + "/bin/berth-unpack"; }

class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-launcher-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    ASSERT_EQ(mkdir((dir_ + "/fs").c_str(), 0755), 0);
    ASSERT_OK_AND_ASSIGN(root_, sys::Open(dir_ + "/fs", O_RDONLY | O_DIRECTORY));
    ASSERT_OK_AND_ASSIGN(implicit_, sys::Memfd("implicit", "", false));
    ASSERT_OK_AND_ASSIGN(blob_, sys::MakePipe());
  }
  void TearDown() override { EXPECT_OK(RemoveTree(AT_FDCWD, dir_)); }

  // Starts the unpacker on a blob that has only begun to arrive.
  void Start(const Context& context) {
    request_.blob_fd = blob_.read.get();
    request_.root_fd = root_.get();
    request_.implicit_fd = implicit_.get();
    request_.format = Format::kTar;
    tar_ = TarBuilder().File("first", "1").Dir("d/").File("second", "2").Finish();
    runner_ = std::thread([this, context] {
      result_ = RunUnpacker(context, Unpacker(), request_);
      done_ = true;
    });
    ASSERT_OK(WriteAll(blob_.write.get(), tar_.substr(0, 1024)));
    // Once the first file is there it has read bytes, so it must be confined.
    while (!fs::exists(dir_ + "/fs/first") && !done_) std::this_thread::yield();
    ASSERT_FALSE(done_);
    pid_ = FindChild();
    ASSERT_GT(pid_, 0);
  }
  void Finish() {
    (void)WriteAll(blob_.write.get(), tar_.substr(1024));
    blob_.write.reset();
    runner_.join();
  }

  static pid_t FindChild() {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      pid_t pid = 0;
      if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
      auto status = ReadFile(entry.path().string() + "/status", 1 << 16);
      if (status.ok() && absl::StrContains(*status, absl::StrCat("\nPPid:\t", getpid(), "\n")) &&
          absl::StrContains(*status, "Name:\tberth-unpack\n")) {
        return pid;
      }
    }
    return 0;
  }
  std::string Proc(const std::string& file) const {
    auto text = ReadFile(absl::StrCat("/proc/", pid_, "/", file), 1 << 20);
    return text.ok() ? *text : text.status().ToString();
  }
  std::string StatusField(const std::string& name) const {
    for (absl::string_view line : absl::StrSplit(Proc("status"), '\n')) {
      std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(":\t", 1));
      if (parts.first == name) return parts.second;
    }
    return "";
  }

  std::string dir_;
  std::string tar_;
  UniqueFd root_;
  UniqueFd implicit_;
  sys::Pipe blob_;
  Request request_;
  StatusOr<Result> result_ = absl::UnknownError("did not run");
  std::atomic<bool> done_ = false;
  std::thread runner_;
  pid_t pid_ = 0;
};

TEST_F(LauncherTest, IsConfinedWhileItWorks) {
  ASSERT_NO_FATAL_FAILURE(Start(Context()));
  const uint64_t want = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FOWNER |
                        1ull << CAP_FSETID | 1ull << CAP_MKNOD | 1ull << CAP_SETFCAP |
                        1ull << CAP_SYS_ADMIN;
  for (const char* set : {"CapEff", "CapPrm", "CapBnd"}) {
    uint64_t have = strtoull(StatusField(set).c_str(), nullptr, 16);
    EXPECT_EQ(have & ~want, 0u) << set;
    EXPECT_NE(have, 0u) << set;
  }
  EXPECT_EQ(strtoull(StatusField("CapEff").c_str(), nullptr, 16), want);
  EXPECT_EQ(strtoull(StatusField("CapInh").c_str(), nullptr, 16), 0u);
  EXPECT_EQ(strtoull(StatusField("CapAmb").c_str(), nullptr, 16), 0u);
  EXPECT_EQ(StatusField("Seccomp"), "2");
  EXPECT_EQ(StatusField("NoNewPrivs"), "1");
  EXPECT_EQ(StatusField("Threads"), "1");

  // One mount: the layer.
  std::string mounts = Proc("mountinfo");
  EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
  for (const char* option : {"nodev", "nosuid", "noexec"}) EXPECT_THAT(mounts, HasSubstr(option));
  EXPECT_THAT(mounts, HasSubstr("/fs / "));
  for (const char* ns : {"mnt", "net", "ipc", "uts"}) {
    EXPECT_NE(fs::read_symlink(absl::StrCat("/proc/", pid_, "/ns/", ns)),
              fs::read_symlink(absl::StrCat("/proc/self/ns/", ns)));
  }
  EXPECT_EQ(fs::read_symlink(absl::StrCat("/proc/", pid_, "/ns/user")),
            fs::read_symlink("/proc/self/ns/user"));

  std::string limits = Proc("limits");
  EXPECT_THAT(limits, testing::ContainsRegex("Max core file size +0 +0 "));
  EXPECT_THAT(limits, testing::ContainsRegex("Max open files +64 +64 "));
  EXPECT_THAT(limits, testing::ContainsRegex("Max address space +1073741824 "));
  EXPECT_THAT(limits, testing::ContainsRegex(absl::StrCat("Max file size +", 64ull << 30)));

  // Nothing of the host is open but what was handed over.
  for (const auto& entry : fs::directory_iterator(absl::StrCat("/proc/", pid_, "/fd"))) {
    std::string target = fs::read_symlink(entry.path());
    EXPECT_TRUE(target == "/dev/null" || target.starts_with("pipe:") || target == "/" ||
                target.starts_with("/memfd:"))
        << target;
  }
  Finish();
  ASSERT_OK(result_);
  EXPECT_EQ(result_->bytes, 2u);
  EXPECT_EQ(result_->inodes, 3u);
  EXPECT_TRUE(fs::exists(dir_ + "/fs/second"));
}

TEST_F(LauncherTest, CancellationKillsIt) {
  std::stop_source stop;
  ASSERT_NO_FATAL_FAILURE(Start(Context(absl::InfiniteFuture(), stop.get_token())));
  stop.request_stop();
  runner_.join();
  EXPECT_TRUE(absl::IsCancelled(result_.status()));
  EXPECT_NE(kill(pid_, 0), 0);
}

TEST_F(LauncherTest, ADeadlineKillsIt) {
  request_.blob_fd = blob_.read.get();
  request_.root_fd = root_.get();
  request_.implicit_fd = implicit_.get();
  Context context(absl::Now() + absl::Milliseconds(50), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(RunUnpacker(context, Unpacker(), request_).status()));
}

TEST_F(LauncherTest, ItsDeathIsReported) {
  ASSERT_NO_FATAL_FAILURE(Start(Context()));
  kill(pid_, SIGSEGV);
  Finish();
  EXPECT_THAT(result_, StatusIs(absl::StatusCode::kInternal, HasSubstr("signal 11")));
  request_.blob_fd = root_.get();
  EXPECT_THAT(RunUnpacker(Context(), "/no/such/program", request_),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("/no/such/program")));
  // A program that is no unpacker.
  EXPECT_THAT(RunUnpacker(Context(), "/bin/true", request_),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("no report")));
}

TEST_F(LauncherTest, MakesDevicesAndWhiteoutsOnItsNodevMount) {
  TarBuilder::Item device;
  device.name = "dev/null";
  device.type = '3';
  device.major = 1;
  device.minor = 3;
  std::string tar = TarBuilder()
                        .Add(device)
                        .File(".wh.x")
                        .File("o/.wh..wh..opq")
                        .Dir("gone/a/")
                        .File("gone/a/b", "x")
                        .Symlink("gone", "elsewhere")
                        .Finish();
  ASSERT_OK_AND_ASSIGN(UniqueFd blob, sys::Memfd("blob", tar, false));
  lseek(blob.get(), 0, SEEK_SET);
  request_.blob_fd = blob.get();
  request_.root_fd = root_.get();
  request_.implicit_fd = implicit_.get();
  ASSERT_OK(RunUnpacker(Context(), Unpacker(), request_));
  struct stat info;
  ASSERT_EQ(stat((dir_ + "/fs/dev/null").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
  EXPECT_TRUE(fs::is_symlink(dir_ + "/fs/gone"));
}

TEST_F(LauncherTest, NamesALimitAndAFullDisk) {
  request_.limits.max_bytes = 1000;
  request_.root_fd = root_.get();
  request_.implicit_fd = implicit_.get();
  std::string tar = TarBuilder().File("f", std::string(5000, 'x')).Finish();
  ASSERT_OK_AND_ASSIGN(UniqueFd blob, sys::Memfd("blob", tar, false));
  lseek(blob.get(), 0, SEEK_SET);
  request_.blob_fd = blob.get();
  EXPECT_THAT(RunUnpacker(Context(), Unpacker(), request_),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit of 1000 bytes")));
  request_.limits = Limits();
  // A file system of one page.
  ASSERT_OK_AND_ASSIGN(UniqueFd tmpfs, sys::FsOpen("tmpfs"));
  ASSERT_OK(sys::FsConfigString(tmpfs.get(), "size", "4096"));
  ASSERT_OK(sys::FsConfigCreate(tmpfs.get()));
  ASSERT_OK_AND_ASSIGN(UniqueFd small, sys::FsMount(tmpfs.get(), 0));
  fs::create_directory(dir_ + "/full");
  ASSERT_OK_AND_ASSIGN(UniqueFd target, sys::Open(dir_ + "/full", O_PATH | O_DIRECTORY));
  ASSERT_OK(sys::MoveMount(small.get(), "", target.get(), "",
                           MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
  auto mounted = sys::Open(dir_ + "/full", O_RDONLY | O_DIRECTORY);
  if (mounted.ok()) {
    request_.root_fd = mounted->get();
    lseek(blob.get(), 0, SEEK_SET);
    EXPECT_THAT(RunUnpacker(Context(), Unpacker(), request_),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("No space left")));
    *mounted = UniqueFd();
  }
  small.reset();
  EXPECT_EQ(umount2((dir_ + "/full").c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace berth::images::unpack
