// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/block_device.h"
#include "base/digest.h"
#include "base/id.h"
#include "base/send_fd.h"
#include "base/sys.h"
#include "base/unique_fd.h"
#include "test/support/status_matchers.h"

namespace berth {
namespace {

using testing::HasSubstr;

TEST(UniqueFd, MoveAssignmentClosesWhatItHeld) {
  ASSERT_OK_AND_ASSIGN(UniqueFd a, sys::Open("/dev/null", O_RDONLY));
  ASSERT_OK_AND_ASSIGN(UniqueFd b, sys::Open("/dev/null", O_RDONLY));
  int old = a.get();
  a = std::move(b);
  EXPECT_EQ(fcntl(old, F_GETFD), -1);
  EXPECT_TRUE(a.ok());
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): what it tests
  EXPECT_FALSE(b.ok());
}

TEST(Status, ErrnoErrorNamesOperandAndCause) {
  auto fd = sys::Open("/does/not/exist", O_RDONLY);
  EXPECT_THAT(fd, StatusIs(absl::StatusCode::kNotFound,
                           testing::Eq("open /does/not/exist: No such file or directory")));
  // What a client gave is at fault: too much of it, or no program of this machine.
  for (int error : {E2BIG, ENOEXEC, ENAMETOOLONG}) {
    EXPECT_THAT(ErrnoError(error, "exec x"),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exec x: ")));
  }
}

TEST(Digest, AcceptsOnlyWholeLowerCaseDigests) {
  std::string hex(64, 'a');
  EXPECT_OK(Digest::Parse("sha256:" + hex));
  EXPECT_OK(Digest::Parse("sha512:" + hex + hex));
  for (const std::string& bad :
       {std::string(""), std::string("sha256:"), "sha256:" + hex + "a", "md5:" + hex,
        "sha256:" + std::string(64, 'A'), "sha256:../" + std::string(61, 'a'), hex}) {
    EXPECT_THAT(Digest::Parse(bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("digest")))
        << bad;
  }
}

TEST(Id, IsUniqueHex) {
  std::string a = NewId(), b = NewId();
  EXPECT_TRUE(IsId(a));
  EXPECT_NE(a, b);
  EXPECT_FALSE(IsId(a.substr(1)));
  EXPECT_FALSE(IsId(std::string(64, 'G')));
}

TEST(SendFd, CarriesDescriptorsCloseOnExec) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  UniqueFd left(pair[0]), right(pair[1]);
  ASSERT_OK_AND_ASSIGN(UniqueFd file, sys::Open("/dev/zero", O_RDONLY));
  std::byte data[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
  int fds[] = {file.get(), file.get()};
  ASSERT_OK(SendMessage(left.get(), data, fds));
  std::byte buffer[16];
  ASSERT_OK_AND_ASSIGN(ReceivedMessage got, ReceiveMessage(right.get(), buffer));
  EXPECT_EQ(got.size, 3u);
  ASSERT_EQ(got.fds.size(), 2u);
  EXPECT_EQ(fcntl(got.fds[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  ASSERT_OK(SendMessage(left.get(), data, {}));
  std::byte small[2];
  EXPECT_THAT(ReceiveMessage(right.get(), small),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("truncated")));
}

TEST(Memfd, SealedCannotBeWritten) {
  ASSERT_OK_AND_ASSIGN(UniqueFd fd, sys::Memfd("test", "content", /*sealed=*/true));
  EXPECT_EQ(write(fd.get(), "x", 1), -1);
}

TEST(BlockDevice, IsNamedOrNumbered) {
  EXPECT_EQ(BlockDeviceName(0, 0), "0:0");  // of file systems without a device
  std::error_code error;                    // containers may have no such directory
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block", error)) {
    const std::string name = entry.path().filename();
    uint32_t major = 0, minor = 0;
    char colon = 0;
    std::ifstream(entry.path() / "dev") >> major >> colon >> minor;
    if (name.find('!') != std::string::npos) continue;
    EXPECT_EQ(BlockDeviceName(major, minor), "/dev/" + name);
  }
}

}  // namespace
}  // namespace berth
