// SPDX-License-Identifier: Apache-2.0
// Exec and attach over a real socket, with processes of this machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cri/streaming/fake_streams.h"
#include "cri/streaming/server.h"
#include "cri/streaming/test_client.h"

namespace berth::cri::streaming {
namespace {

using testing::HasSubstr;

constexpr char kSuccess[] = R"({"metadata":{},"status":"Success"})";
constexpr char kV4[] = "v4.channel.k8s.io,v3.channel.k8s.io,v2.channel.k8s.io,channel.k8s.io";

class ExecTest : public testing::Test {
 protected:
  ExecTest() { Restart(Options()); }
  void Restart(const Options& options) {
    server_.reset();
    server_ = *Server::Start(options, &streams_);
  }
  std::string Exec(const std::string& script, bool in = false, bool tty = false,
                   const std::string& container = "c") {
    return *server_->UrlFor(ExecRequest{container, {"sh", "-c", script}, {tty, in, true, !tty}});
  }
  std::string AttachTo(const std::string& script, bool in = false) {
    return *server_->UrlFor(AttachRequest{script, {false, in, true, true}});
  }

  FakeStreams streams_;
  std::unique_ptr<Server> server_;
};

struct Outcome {
  std::string out, err, status;
  bool goaway = false;
};

Outcome RunSpdy(const std::string& url, const std::string& protocols = kV4) {
  TestSpdy client(url, protocols);
  const uint32_t error = client.Open("error");
  const uint32_t out = client.Open("stdout");
  const uint32_t err = client.Open("stderr");
  client.ReadAll();
  EXPECT_TRUE(client.Ended(out));
  EXPECT_TRUE(client.Ended(err));
  EXPECT_TRUE(client.Ended(error));
  return {client.ReadEnd(out), client.ReadEnd(err), client.ReadEnd(error), client.goaway()};
}

TEST_F(ExecTest, OutputAndStatusArrive) {
  const Outcome outcome = RunSpdy(Exec("echo hello; echo sorry >&2"));
  EXPECT_EQ(outcome.out, "hello\n");
  EXPECT_EQ(outcome.err, "sorry\n");
  EXPECT_EQ(outcome.status, kSuccess);
  EXPECT_TRUE(outcome.goaway);
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, ExitCodeIsInTheStatus) {
  EXPECT_EQ(RunSpdy(Exec("exit 7")).status,
            R"({"metadata":{},"status":"Failure","reason":"NonZeroExitCode","message":)"
            R"("command terminated with non-zero exit code: exit status 7",)"
            R"("details":{"causes":[{"reason":"ExitCode","message":"7"}]}})");
  EXPECT_EQ(RunSpdy(Exec("exit 7"), "v2.channel.k8s.io").status,
            "command terminated with non-zero exit code: exit status 7");
  EXPECT_EQ(RunSpdy(Exec("true"), "channel.k8s.io").status, "");
  EXPECT_THAT(RunSpdy(Exec("kill -9 $$")).status, HasSubstr("\"137\""));
}

TEST_F(ExecTest, FailureToStartIsTold) {
  const std::string status = RunSpdy(Exec("true", false, false, "missing")).status;
  EXPECT_THAT(status, HasSubstr("InternalError"));
  EXPECT_THAT(status, HasSubstr("not found"));
}

TEST_F(ExecTest, InputGoesThroughAndEnds) {
  TestSpdy client(Exec("cat; echo done >&2", true), kV4);
  const uint32_t error = client.Open("error");
  const uint32_t in = client.Open("stdin");
  const uint32_t out = client.Open("stdout");
  const uint32_t err = client.Open("stderr");
  client.Data(in, "some ");
  EXPECT_EQ(client.ReadSome(out, 5), "some ");
  client.Data(in, "words", true);
  EXPECT_EQ(client.ReadEnd(out), "some words");
  EXPECT_EQ(client.ReadEnd(err), "done\n");
  EXPECT_EQ(client.ReadEnd(error), kSuccess);
}

TEST_F(ExecTest, MuchOutputComesWhole) {
  const Outcome outcome = RunSpdy(Exec("head -c 20000000 /dev/zero | tr '\\0' x"));
  EXPECT_EQ(outcome.out.size(), 20000000u);
  EXPECT_EQ(outcome.out.find_first_not_of('x'), std::string::npos);
  EXPECT_EQ(outcome.status, kSuccess);
}

TEST_F(ExecTest, MuchInputComesWhole) {
  TestSpdy client(Exec("wc -c", true), kV4);
  const uint32_t error = client.Open("error");
  const uint32_t in = client.Open("stdin");
  const uint32_t out = client.Open("stdout");
  client.Open("stderr");
  const std::string block(100000, 'y');
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.Data(in, block, i == 99));
  EXPECT_EQ(client.ReadEnd(out), "10000000\n");
  EXPECT_EQ(client.ReadEnd(error), kSuccess);
}

TEST_F(ExecTest, ProcessThatDoesNotReadEndsAllTheSame) {
  TestSpdy client(Exec("echo bye", true), kV4);
  const uint32_t error = client.Open("error");
  const uint32_t in = client.Open("stdin");
  const uint32_t out = client.Open("stdout");
  client.Open("stderr");
  client.Data(in, std::string(30000, 'z'));
  EXPECT_EQ(client.ReadEnd(out), "bye\n");
  EXPECT_EQ(client.ReadEnd(error), kSuccess);
}

TEST_F(ExecTest, LeakedGrandchildDoesNotHoldTheClient) {
  const absl::Time begin = absl::Now();
  const Outcome outcome = RunSpdy(Exec("echo first; sleep 60 & exit 3"));
  EXPECT_EQ(outcome.out, "first\n");
  EXPECT_THAT(outcome.status, HasSubstr("\"3\""));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, TerminalIsResizedAndMerged) {
  TestSpdy client(Exec("read line; stty size; echo end >&2", true, true), kV4);
  const uint32_t error = client.Open("error");
  const uint32_t in = client.Open("stdin");
  const uint32_t out = client.Open("stdout");
  const uint32_t resize = client.Open("resize");
  client.Data(resize, R"({"Width":101,"Height":41}{"Width":102,)");
  client.Data(resize, R"("Height":42})");
  // Both travel on one connection, so the size is set before the line is read.
  client.Data(in, "go\n");
  const std::string text = client.ReadEnd(out);
  EXPECT_THAT(text, HasSubstr("42 102"));
  EXPECT_THAT(text, HasSubstr("end"));
  EXPECT_EQ(client.ReadEnd(error), kSuccess);
}

TEST_F(ExecTest, VanishedClientEndsTheProcess) {
  {
    TestSpdy client(Exec("echo up; sleep 1000", true), kV4);
    client.Open("error");
    client.Open("stdin");
    const uint32_t out = client.Open("stdout");
    client.Open("stderr");
    EXPECT_EQ(client.ReadSome(out, 3), "up\n");
    EXPECT_EQ(streams_.live(), 1);
  }
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, VanishedClientWhileOutputFlows) {
  {
    TestSpdy client(Exec("yes"), kV4);
    client.Open("error");
    const uint32_t out = client.Open("stdout");
    client.Open("stderr");
    client.ReadSome(out, 100000);
  }
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, PingsAreAnswered) {
  TestSpdy client(Exec("cat", true), kV4);
  const uint32_t error = client.Open("error");
  const uint32_t in = client.Open("stdin");
  client.Open("stdout");
  client.Open("stderr");
  client.Raw(SpdyPing(1) + SpdyPing(2) + SpdyPing(5));
  client.Data(in, "", true);
  EXPECT_EQ(client.ReadEnd(error), kSuccess);
  EXPECT_THAT(client.pongs(), testing::ElementsAre(1, 5));
}

TEST_F(ExecTest, UnknownStreamIsRefused) {
  TestSpdy client(Exec("true"), kV4);
  const uint32_t bad = client.Open("stdin");  // not asked for
  client.ReadEnd(bad);
  EXPECT_TRUE(client.WasReset(bad));
}

TEST_F(ExecTest, ItBeginsWhileTheClientOpensItsStreams) {
  TestSpdy client(Exec("echo early"), kV4);
  EXPECT_TRUE(streams_.AwaitLive(1));
  const uint32_t error = client.Open("error");
  const uint32_t out = client.Open("stdout");
  client.Open("stderr");
  EXPECT_EQ(client.ReadEnd(out), "early\n");
  EXPECT_EQ(client.ReadEnd(error), kSuccess);
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, ItEndsWithAClientThatOpensNoStreams) {
  {
    TestSpdy client(Exec("sleep 1000"), kV4);
    EXPECT_TRUE(streams_.AwaitLive(1));
  }
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, MissingStreamsEndTheConnection) {
  Options options;
  options.creation_timeout = absl::Milliseconds(100);
  Restart(options);
  TestSpdy client(Exec("sleep 1000"), kV4);
  client.Open("error");
  client.ReadAll();
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, IdleClientIsCutOff) {
  Options options;
  options.idle_timeout = absl::Milliseconds(200);
  Restart(options);
  TestSpdy client(Exec("sleep 1000"), kV4);
  client.Open("error");
  client.Open("stdout");
  client.Open("stderr");
  client.ReadAll();
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, BrokenFramesEndTheConnection) {
  for (const std::string& bytes :
       {std::string("\x80\x02\x00\x01\x00\x00\x00\x0a", 8) + std::string(10, '\0'),
        SpdySynStream(1, "not zlib", false), std::string("\x80\x03\x00\x01\x00\xff\xff\xff", 8)}) {
    TestSpdy client(Exec("sleep 1000"), kV4);
    client.Raw(bytes);
    client.ReadAll();
    EXPECT_TRUE(client.goaway());
  }
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, ShutdownEndsSessions) {
  TestSpdy client(Exec("sleep 1000"), kV4);
  client.Open("error");
  client.Open("stdout");
  const uint32_t err = client.Open("stderr");
  client.Raw(SpdyPing(1));
  while (client.pongs().empty() && client.ReadMore()) {
  }
  server_->Shutdown();
  client.ReadEnd(err);
  EXPECT_EQ(streams_.live(), 0);
}

TEST_F(ExecTest, AttachCarriesAndEnds) {
  TestSpdy client(AttachTo("read x; echo got $x; echo err >&2", true), kV4);
  const uint32_t error = client.Open("error");
  const uint32_t in = client.Open("stdin");
  const uint32_t out = client.Open("stdout");
  const uint32_t err = client.Open("stderr");
  client.Data(in, "it\n");
  EXPECT_EQ(client.ReadEnd(out), "got it\n");
  EXPECT_EQ(client.ReadEnd(err), "err\n");
  EXPECT_EQ(client.ReadEnd(error), kSuccess);
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, WebSocketV5) {
  TestWs client(Exec("cat; echo sorry >&2; exit 5", true), "v5.channel.k8s.io,v4.channel.k8s.io");
  EXPECT_THAT(client.answer(), HasSubstr("Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n"));
  EXPECT_THAT(client.answer(), HasSubstr("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  const TestWs::Frame greeting = client.Read();
  EXPECT_EQ(greeting.payload, std::string("\1", 1));
  // One message in three frames, with a ping between.
  client.Send(2, std::string("\0he", 3), false);
  client.Send(0, "ll", false);
  client.Send(9, "p");
  client.Send(0, "o", true);
  const TestWs::Frame pong = client.Read();
  EXPECT_EQ(pong.opcode, 10);
  EXPECT_EQ(pong.payload, "p");
  client.Message(std::string("\xff\0", 2));
  const auto channels = client.ReadAll();
  EXPECT_EQ(channels.at(1), "hello");
  EXPECT_EQ(channels.at(2), "sorry\n");
  EXPECT_THAT(channels.at(3), HasSubstr(R"("message":"5")"));
  EXPECT_EQ(client.close_code(), 1000);
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, WebSocketBase64) {
  TestWs client(Exec("read x; echo $x", true), "v4.base64.channel.k8s.io");
  client.Send(1, "0aGkK");
  const auto channels = client.ReadAll();
  EXPECT_EQ(channels.at('1'), "aGkK");
  EXPECT_TRUE(channels.contains('3'));
}

TEST_F(ExecTest, WebSocketVanishes) {
  {
    TestWs client(Exec("echo up; sleep 1000", true), "v4.channel.k8s.io");
    client.Read();
    EXPECT_EQ(client.Read().payload, std::string("\1up\n", 4));
  }
  EXPECT_TRUE(streams_.AwaitLive(0));
}

TEST_F(ExecTest, WebSocketBadFramesAreAnsweredWithClose) {
  TestWs client(Exec("sleep 1000", true), "v4.channel.k8s.io");
  client.connection()->Send(std::string("\x82\x01\x00", 3));  // no mask
  client.ReadAll();
  EXPECT_EQ(client.close_code(), 1002);
  EXPECT_TRUE(streams_.AwaitLive(0));
}

}  // namespace
}  // namespace berth::cri::streaming
