// SPDX-License-Identifier: Apache-2.0
#include "cri/listener.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/synchronization/notification.h"
#include "test/support/status_matchers.h"

namespace berth::cri {
namespace {

using testing::HasSubstr;

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() {
    std::string pattern = testing::TempDir() + "/listener-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    ::chmod(directory_.c_str(), 0755);
    path_ = directory_ + "/run/s.sock";
  }
  ~ListenerTest() override { std::filesystem::remove_all(directory_); }

  UniqueFd Connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      return UniqueFd();
    }
    return fd;
  }

  std::string directory_;
  std::string path_;
};

TEST_F(ListenerTest, ModeAndGroup) {
  const mode_t umask = ::umask(0);
  const StatusOr<UniqueFd> fd = Listen(path_, ::getgid());
  ::umask(umask);
  ASSERT_OK(fd);
  struct stat info = {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  EXPECT_EQ(info.st_gid, ::getgid());
  ASSERT_EQ(::stat((directory_ + "/run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0711u);
  EXPECT_TRUE(Connect().ok());
}

TEST_F(ListenerTest, TakesThePlaceOfADeadSocketOnly) {
  {
    ASSERT_OK_AND_ASSIGN(const UniqueFd first, Listen(path_, ::getgid()));
    EXPECT_THAT(Listen(path_, ::getgid()), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                    HasSubstr("another process listens")));
  }
  ASSERT_OK(Listen(path_, ::getgid()));
  std::filesystem::remove(path_);
  std::ofstream(path_) << "precious";
  EXPECT_THAT(Listen(path_, ::getgid()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a socket")));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ListenerTest, RefusesPathsThatCannotBe) {
  EXPECT_THAT(Listen("s.sock", 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not an absolute path")));
  EXPECT_THAT(Listen("/" + std::string(107, 'x'), 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("longer than 107 bytes")));
  // kubelet knows this one by its name, and asks it for statistics in another way.
  EXPECT_THAT(Listen(directory_ + "/run/crio/crio.sock", 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("statistics")));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/run"));
}

TEST_F(ListenerTest, RecognisesAKeptSocket) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, Listen(path_, ::getgid()));
  EXPECT_TRUE(IsListeningAt(fd.get(), path_));
  EXPECT_FALSE(IsListeningAt(fd.get(), directory_ + "/other"));
  EXPECT_FALSE(IsListeningAt(Connect().get(), path_));
  std::filesystem::remove(path_);
  EXPECT_FALSE(IsListeningAt(fd.get(), path_)) << "nobody can connect to it any more";
}

TEST_F(ListenerTest, AcceptorHandsOverAndStops) {
  ASSERT_OK_AND_ASSIGN(UniqueFd fd, Listen(path_, ::getgid()));
  absl::Notification accepted;
  {
    ASSERT_OK_AND_ASSIGN(const auto acceptor,
                         Acceptor::Start(std::move(fd), ::getgid(), [&](UniqueFd connection) {
                           EXPECT_TRUE(connection.ok());
                           accepted.Notify();
                         }));
    const UniqueFd client = Connect();
    accepted.WaitForNotification();
  }
  EXPECT_FALSE(Connect().ok());
}

// A process of another user and group, whom the mode of the socket does not stop here.
TEST_F(ListenerTest, StrangersAreRefused) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  constexpr gid_t kGroup = 4242;
  constexpr uid_t kUser = 4343;
  ASSERT_OK_AND_ASSIGN(UniqueFd fd, Listen(path_, kGroup));
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  std::atomic<int> accepted = 0;
  ASSERT_OK_AND_ASSIGN(const auto acceptor,
                       Acceptor::Start(std::move(fd), kGroup, [&](UniqueFd) { ++accepted; }));
  // 0 if the daemon closed the connection without having it accepted by the handler.
  const auto connect_as = [&](gid_t gid, std::vector<gid_t> groups) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(gid) != 0 ||
          ::setuid(kUser) != 0) {
        ::_exit(2);
      }
      const UniqueFd client = Connect();
      if (!client.ok()) ::_exit(3);
      char byte;
      // Both outcomes end in a hang-up: the handler here drops what it gets.
      ::_exit(::read(client.get(), &byte, 1) == 0 ? 0 : 4);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(connect_as(kUser, {}), 0);
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(connect_as(kGroup, {}), 0);
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(connect_as(kUser, {1, kGroup}), 0) << "a supplementary group counts";
  EXPECT_EQ(accepted, 2);
}

}  // namespace
}  // namespace berth::cri
