// SPDX-License-Identifier: Apache-2.0
#include "sandbox/attach_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

// Stands for the runtime: the monitor's end of the view and the container's input.
class AttachHubTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK_AND_ASSIGN(hub_, AttachHub::Make()); }

  StatusOr<runtime::Attachment> Open() {
    ++opened_;
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      return ErrnoError(errno, "socketpair");
    }
    monitor_ = UniqueFd(pair[0]);
    runtime::Attachment attachment;
    attachment.output = UniqueFd(pair[1]);
    ASSIGN_OR_RETURN(sys::Pipe pipe, sys::MakePipe());
    container_ = std::move(pipe.read);
    attachment.input = std::move(pipe.write);
    return attachment;
  }
  std::unique_ptr<AttachSeat> Join(const AttachWish& wish) {
    auto seat = hub_->Join("c", wish, [this] { return Open(); });
    EXPECT_OK(seat);
    return seat.ok() ? *std::move(seat) : nullptr;
  }
  void Say(char stream, const std::string& text) {
    const std::string packet = stream + text;
    ASSERT_EQ(::send(monitor_.get(), packet.data(), packet.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(packet.size()));
  }
  // Exactly `size` bytes, or what came before the end.
  static std::string Read(const UniqueFd& fd, size_t size) {
    std::string data;
    char buffer[65536];
    while (data.size() < size) {
      pollfd poll = {fd.get(), POLLIN, 0};
      if (::poll(&poll, 1, 10'000) != 1) break;
      const ssize_t n = ::read(fd.get(), buffer, std::min(sizeof buffer, size - data.size()));
      if (n <= 0) break;
      data.append(buffer, static_cast<size_t>(n));
    }
    return data;
  }
  static bool Ended(const UniqueFd& fd) {
    pollfd poll = {fd.get(), POLLIN, 0};
    char byte;
    return ::poll(&poll, 1, 10'000) == 1 && ::read(fd.get(), &byte, 1) == 0;
  }
  // The view has been given up: the monitor finds nobody.
  bool Abandoned() {
    pollfd poll = {monitor_.get(), 0, 0};
    return ::poll(&poll, 1, 10'000) == 1 && (poll.revents & POLLHUP) != 0;
  }

  int opened_ = 0;
  UniqueFd monitor_, container_;
  std::unique_ptr<AttachHub> hub_;
};

constexpr AttachWish kBoth{.out = true, .err = true};

TEST_F(AttachHubTest, EveryClientGetsWhatItWishedFor) {
  auto both = Join(kBoth);
  auto out = Join({.out = true});
  EXPECT_EQ(opened_, 1);
  EXPECT_FALSE(out->err.ok());
  EXPECT_FALSE(out->in.ok());
  Say(1, "to out");
  Say(2, "to err");
  EXPECT_EQ(Read(both->out, 6), "to out");
  EXPECT_EQ(Read(both->err, 6), "to err");
  EXPECT_EQ(Read(out->out, 6), "to out");
  monitor_.reset();
  EXPECT_TRUE(Ended(both->out));
  EXPECT_TRUE(Ended(both->err));
  EXPECT_TRUE(Ended(out->out));
  EXPECT_FALSE(both->dropped());
}

TEST_F(AttachHubTest, TheLastToLeaveEndsTheView) {
  auto first = Join(kBoth);
  auto second = Join(kBoth);
  first.reset();
  Say(1, "still");
  EXPECT_EQ(Read(second->out, 5), "still");
  second.reset();
  EXPECT_TRUE(Abandoned());
  auto third = Join(kBoth);
  EXPECT_EQ(opened_, 2);
  Say(1, "again");
  EXPECT_EQ(Read(third->out, 5), "again");
}

TEST_F(AttachHubTest, ASlowClientIsCutOffAlone) {
  auto slow = Join(kBoth);
  auto quick = Join(kBoth);
  const std::string piece(16 << 10, 'x');
  const size_t pieces = 2 * AttachHub::kMaxBehind / piece.size();
  for (size_t i = 0; i < pieces; ++i) {
    Say(1, piece);
    ASSERT_EQ(Read(quick->out, piece.size()).size(), piece.size());
  }
  EXPECT_TRUE(slow->dropped());
  EXPECT_FALSE(quick->dropped());
  // Both its streams have ended, though only one was full.
  EXPECT_TRUE(Ended(slow->err));
  const size_t kept = Read(slow->out, pieces * piece.size()).size();
  EXPECT_LT(kept, pieces * piece.size());
}

TEST_F(AttachHubTest, WhatWaitsAtTheEndIsStillRead) {
  auto seat = Join({.out = true});
  const std::string piece(16 << 10, 'x');
  const size_t pieces = AttachHub::kMaxBehind / 2 / piece.size();
  for (size_t i = 0; i < pieces; ++i) Say(1, piece);
  monitor_.reset();
  EXPECT_EQ(Read(seat->out, pieces * piece.size()).size(), pieces * piece.size());
  EXPECT_TRUE(Ended(seat->out));
  EXPECT_FALSE(seat->dropped());
}

TEST_F(AttachHubTest, AClientThatClosesItsStreamsDisturbsNobody) {
  auto gone = Join(kBoth);
  auto other = Join(kBoth);
  gone->out.reset();
  for (int i = 0; i < 3; ++i) {
    Say(1, "text");
    EXPECT_EQ(Read(other->out, 4), "text");
  }
}

TEST_F(AttachHubTest, InputIsSharedUnlessItIsForOne) {
  auto first = Join({.in = true, .out = true});
  auto second = Join({.in = true, .out = true});
  ASSERT_EQ(::write(first->in.get(), "1", 1), 1);
  ASSERT_EQ(::write(second->in.get(), "2", 1), 1);
  EXPECT_EQ(Read(container_, 2), "12");
  first.reset();
  second.reset();
  ASSERT_TRUE(Abandoned());
  EXPECT_TRUE(Ended(container_));

  first = Join({.in = true, .out = true, .sole_input = true});
  second = Join({.in = true, .out = true, .sole_input = true});
  EXPECT_TRUE(first->in.ok());
  EXPECT_FALSE(second->in.ok());
  first->in.reset();
  EXPECT_TRUE(Ended(container_));
}

TEST_F(AttachHubTest, AFailureLeavesNothing) {
  auto refused = hub_->Join("c", kBoth, []() -> StatusOr<runtime::Attachment> {
    return absl::FailedPreconditionError("not running");
  });
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition, testing::_));
  auto seat = Join(kBoth);
  EXPECT_EQ(opened_, 1);
}

TEST_F(AttachHubTest, ManyComeAndGoAtOnce) {
  std::vector<std::thread> clients;
  std::atomic<int> failures = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this, i, &failures] {
      const std::string id = "many" + std::to_string(i % 2);
      for (int round = 0; round < 200; ++round) {
        auto seat = hub_->Join(id, kBoth, []() -> StatusOr<runtime::Attachment> {
          int pair[2];
          if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
            return ErrnoError(errno, "socketpair");
          }
          const UniqueFd monitor(pair[0]);
          (void)::send(pair[0], "\1x", 2, MSG_NOSIGNAL);
          runtime::Attachment attachment;
          attachment.output = UniqueFd(pair[1]);
          return attachment;
        });
        if (!seat.ok()) ++failures;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace berth::sandbox
