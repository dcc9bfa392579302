// SPDX-License-Identifier: Apache-2.0
// Live views of running containers, and terminals.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/sys.h"
#include "runtime/runtime_test_node.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::HasSubstr;

constexpr int kPatienceMs = 10'000;

bool AwaitReadable(int fd) {
  pollfd poll = {fd, POLLIN, 0};
  return ::poll(&poll, 1, kPatienceMs) == 1;
}

struct Seen {
  std::string out, err;
  bool ended = false;
};

// Reads packets until the end or until stdout has `text`.
Seen ReadPackets(int socket, const std::string& text = "") {
  Seen seen;
  std::string packet(17 << 10, '\0');
  while (text.empty() || seen.out.find(text) == std::string::npos) {
    if (!AwaitReadable(socket)) break;
    const ssize_t n = ::recv(socket, packet.data(), packet.size(), 0);
    if (n <= 0) {
      seen.ended = n == 0;
      break;
    }
    EXPECT_TRUE(packet[0] == 1 || packet[0] == 2) << static_cast<int>(packet[0]);
    (packet[0] == 1 ? seen.out : seen.err).append(packet, 1, static_cast<size_t>(n) - 1);
  }
  return seen;
}

// Reads a terminal's master side until `text` is there or nobody holds the other side.
std::string ReadTerminal(int master, const std::string& text = "") {
  std::string seen;
  char buffer[4096];
  while ((text.empty() || seen.find(text) == std::string::npos) && AwaitReadable(master)) {
    const ssize_t n = ::read(master, buffer, sizeof buffer);
    if (n <= 0) break;
    seen.append(buffer, static_cast<size_t>(n));
  }
  return seen;
}

void WriteAll(int fd, const std::string& text) {
  ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

class AttachTest : public PodNodeTest {
 protected:
  ContainerSetup RunShell(const std::string& script, bool open_stdin, bool terminal = false) {
    ContainerSetup setup = node_->NewContainer(pod_, {"sh", "-c", script});
    setup.open_stdin = open_stdin;
    setup.spec.process->terminal = terminal;
    if (terminal) setup.spec.process->env.emplace_back("TERM=dumb");
    node_->Run(setup);
    return setup;
  }
  Attachment AttachTo(const ContainerSetup& setup) {
    StatusOr<Attachment> attachment = node_->runtime().Attach(setup.container_id);
    EXPECT_OK(attachment);
    return attachment.ok() ? *std::move(attachment) : Attachment();
  }
};

TEST_F(AttachTest, CarriesBothStreamsAndEndsWithTheContainer) {
  ContainerSetup setup = RunShell("read go; echo to out; echo to err >&2; exit 3", true);
  Attachment attachment = AttachTo(setup);
  EXPECT_FALSE(attachment.terminal);
  WriteAll(attachment.input.get(), "go\n");
  const Seen seen = ReadPackets(attachment.output.get());
  EXPECT_EQ(seen.out, "to out\n");
  EXPECT_EQ(seen.err, "to err\n");
  EXPECT_TRUE(seen.ended);
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 3);
  EXPECT_THAT(node_->runtime().Attach(setup.container_id),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not running")));
  EXPECT_OK(node_->runtime().CloseStdin(setup.container_id));
}

TEST_F(AttachTest, NoInputUnlessTheContainerHasOne) {
  ContainerSetup setup = RunShell("cat; echo at end; exec sleep 1000", false);
  EXPECT_TRUE(node_->WaitForOutput(setup, "at end"));
  EXPECT_FALSE(AttachTo(setup).input.ok());
}

TEST_F(AttachTest, InputEndsWhenItIsClosed) {
  ContainerSetup setup = RunShell("cat; echo at end", true);
  Attachment attachment = AttachTo(setup);
  WriteAll(attachment.input.get(), "line\n");
  EXPECT_EQ(ReadPackets(attachment.output.get(), "line\n").out, "line\n");
  ASSERT_OK(node_->runtime().CloseStdin(setup.container_id));
  ASSERT_OK(node_->runtime().CloseStdin(setup.container_id));
  // A copy is still open here.
  WriteAll(attachment.input.get(), "more\n");
  EXPECT_EQ(ReadPackets(attachment.output.get(), "more\n").out, "more\n");
  attachment.input = UniqueFd();
  EXPECT_EQ(ReadPackets(attachment.output.get()).out, "at end\n");
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 0);
}

TEST_F(AttachTest, InputOutlivesItsReaders) {
  ContainerSetup setup = RunShell("cat; echo at end", true);
  for (const char* line : {"one\n", "two\n"}) {
    Attachment attachment = AttachTo(setup);
    WriteAll(attachment.input.get(), line);
    EXPECT_EQ(ReadPackets(attachment.output.get(), line).out, line);
  }
  EXPECT_TRUE(node_->WaitForOutput(setup, "one\ntwo\n"));
}

TEST_F(AttachTest, ALaterViewEndsTheEarlier) {
  ContainerSetup setup = RunShell("exec sleep 1000", false);
  Attachment first = AttachTo(setup);
  Attachment second = AttachTo(setup);
  EXPECT_TRUE(ReadPackets(first.output.get()).ended);
  ASSERT_OK(node_->runtime().KillAll(setup.container_id));
  EXPECT_TRUE(ReadPackets(second.output.get()).ended);
}

TEST_F(AttachTest, AReaderThatSleepsHoldsNothingUp) {
  ContainerSetup setup = RunShell("read go; yes 0123456789 | head -c 20000000 >&2; exit 5", true);
  Attachment attachment = AttachTo(setup);
  WriteAll(attachment.input.get(), "go\n");
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 5);
  EXPECT_TRUE(ReadPackets(attachment.output.get()).ended);
}

TEST_F(AttachTest, AReaderThatKeepsUpMissesNothing) {
  ContainerSetup setup = RunShell("read go; seq 1 400000", true);
  Attachment attachment = AttachTo(setup);
  WriteAll(attachment.input.get(), "go\n");
  const Seen seen = ReadPackets(attachment.output.get());
  std::string expected;
  for (int i = 1; i <= 400000; ++i) expected += std::to_string(i) + '\n';
  EXPECT_TRUE(seen.out == expected) << seen.out.size() << " of " << expected.size();
}

TEST_F(AttachTest, SurvivesNeitherDaemonNorMonitorButComesBack) {
  ContainerSetup setup = RunShell("while read line; do echo got $line; done", true);
  Attachment before = AttachTo(setup);
  node_->Restart();
  ASSERT_OK(node_->runtime().OpenPod(pod_.pod_id));
  ASSERT_OK(node_->runtime().AddContainer(setup, /*started=*/true));
  Attachment after = AttachTo(setup);
  EXPECT_TRUE(ReadPackets(before.output.get()).ended);
  WriteAll(after.input.get(), "a line\n");
  EXPECT_EQ(ReadPackets(after.output.get(), "\n").out, "got a line\n");
}

TEST_F(AttachTest, TerminalHasASizeAndAnInput) {
  ContainerSetup setup = RunShell("read go; stty size; test -t 1 && echo terminal", true, true);
  Attachment attachment = AttachTo(setup);
  EXPECT_TRUE(attachment.terminal);
  winsize size = {};
  size.ws_row = 33;
  size.ws_col = 77;
  ASSERT_EQ(::ioctl(attachment.input.get(), TIOCSWINSZ, &size), 0);
  WriteAll(attachment.input.get(), "go\n");
  EXPECT_THAT(ReadPackets(attachment.output.get()).out, HasSubstr("33 77\r\nterminal\r\n"));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 0);
}

TEST_F(AttachTest, ExecHasATerminalOfItsOwn) {
  ContainerSetup setup = RunShell("exec sleep 1000", false);
  ExecRequest request;
  request.container_id = setup.container_id;
  request.args = {"sh", "-c", "tty; echo $TERM; read line; stty size; echo $line; exit 9"};
  request.terminal = true;
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Exec> exec,
                       node_->runtime().StartExec(Context(), std::move(request)));
  UniqueFd master = exec->TakeTerminal();
  ASSERT_TRUE(master.ok());
  EXPECT_FALSE(exec->TakeTerminal().ok());
  EXPECT_NE(::fcntl(master.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(master.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_THAT(ReadTerminal(master.get(), "xterm\r\n"), HasSubstr("/dev/pts/0\r\nxterm\r\n"));
  winsize size = {};
  size.ws_row = 10;
  size.ws_col = 20;
  ASSERT_EQ(::ioctl(master.get(), TIOCSWINSZ, &size), 0);
  WriteAll(master.get(), "hello\n");
  EXPECT_THAT(ReadTerminal(master.get()), HasSubstr("10 20\r\nhello\r\n"));
  ASSERT_OK_AND_ASSIGN(ExitInfo exit, exec->Wait(Context()));
  EXPECT_EQ(exit.exit_code, 9);
}

TEST_F(AttachTest, ExecIsHungUpWithItsTerminal) {
  ContainerSetup setup = RunShell("exec sleep 1000", false);
  ExecRequest request;
  request.container_id = setup.container_id;
  request.args = {"sh", "-c", "echo ready; exec sleep 1000"};
  request.terminal = true;
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Exec> exec,
                       node_->runtime().StartExec(Context(), std::move(request)));
  UniqueFd master = exec->TakeTerminal();
  EXPECT_THAT(ReadTerminal(master.get(), "ready\r\n"), HasSubstr("ready"));
  master = UniqueFd();
  ASSERT_OK_AND_ASSIGN(ExitInfo exit, exec->Wait(Context()));
  EXPECT_EQ(exit.signal, SIGHUP);
}

}  // namespace
}  // namespace berth::runtime
