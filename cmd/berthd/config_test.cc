// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/json.h"
#include "base/unique_fd.h"
#include "cmd/berthd/options.h"
#include "cmd/berthd/program_path.h"
#include "cmd/berthd/service_manager.h"
#include "test/support/status_matchers.h"

namespace berth::daemon {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    std::string pattern = testing::TempDir() + "/config-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/config.toml";
  }
  ~ConfigTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& text) { std::ofstream(path_) << text; }
  void WriteDropIn(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(path_ + ".d");
    std::ofstream(path_ + ".d/" + name) << text;
  }

  std::string directory_;
  std::string path_;
};

TEST_F(ConfigTest, MissingFileIsTheDefaultsUnlessItMustExist) {
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(path_, /*must_exist=*/false));
  EXPECT_EQ(config.instance, "berth");
  EXPECT_THAT(LoadConfig(path_, /*must_exist=*/true),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path_)));
}

TEST_F(ConfigTest, DefaultTextIsReadBackAsTheDefaults) {
  Write(ConfigToml(Config()));
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(path_, true));
  EXPECT_EQ(ConfigToml(config), ConfigToml(Config()));
  EXPECT_THAT(ConfigToml(config), AllOf(HasSubstr("[network]\n"), HasSubstr("\nmtu = 0\n")));
}

TEST_F(ConfigTest, HandlersAreReadMergedAndWrittenBack) {
  Write(
      "default_handler = 'hardened'\n"
      "[handlers.hardened]\ncapabilities = []\nsysctls = { 'net.core.somaxconn' = '9' }\n"
      "pod_annotations = ['a.*']\nprivileged_without_host_devices = true\n"
      "device_ownership_from_security_context = true\n");
  WriteDropIn("1.toml", "[handlers.hardened]\ncgroup_writable = true\n[handlers.plain]\n");
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(path_, true));
  ASSERT_EQ(config.handlers.size(), 2u);
  const sandbox::Handler& hardened = config.handlers[0];
  EXPECT_EQ(hardened.name, "hardened");
  EXPECT_TRUE(hardened.capabilities.has_value() && hardened.capabilities->empty());
  EXPECT_EQ(hardened.sysctls.at("net.core.somaxconn"), "9");
  EXPECT_THAT(hardened.pod_annotations, ElementsAre("a.*"));
  EXPECT_TRUE(hardened.privileged_without_host_devices && hardened.cgroup_writable);
  EXPECT_TRUE(hardened.device_ownership_from_security_context);
  ASSERT_OK_AND_ASSIGN(const sandbox::Handlers handlers, HandlersOf(config));
  EXPECT_EQ(handlers.standard().name, "hardened");
  EXPECT_THAT(handlers.OtherNames(), ElementsAre("berth", "plain", "runc", "crun"));

  const std::string text = ConfigToml(config);
  std::filesystem::remove_all(path_ + ".d");
  Write(text);
  ASSERT_OK_AND_ASSIGN(const Config again, LoadConfig(path_, true));
  EXPECT_EQ(ConfigToml(again), text);
  EXPECT_THAT(ConfigJson(again), HasSubstr("\"capabilities\":[]"));
}

TEST_F(ConfigTest, WrongHandlersAreNamedWithTheirLine) {
  Write("[handlers.a]\nsecomp = 'x'\n");
  EXPECT_THAT(LoadConfig(path_, true), StatusIs(absl::StatusCode::kInvalidArgument,
                                                path_ + ":2: handlers.a.secomp: unknown key"));
  Write("[handlers.a]\n\nsysctls = { x = 1 }\n");
  EXPECT_THAT(LoadConfig(path_, true),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       path_ + ":3: handlers.a.sysctls: must be a table of strings"));
  Write("[handlers]\na = 1\n");
  EXPECT_THAT(LoadConfig(path_, true), StatusIs(absl::StatusCode::kInvalidArgument,
                                                path_ + ":2: handlers.a: must be a table"));
  Write("default_handler = 'kata'\n");
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(path_, true));
  EXPECT_THAT(HandlersOf(config),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no [handlers.kata]")));
}

TEST_F(ConfigTest, EveryKindOfValueIsRead) {
  Write(
      "instance = 'b2'\n"
      "[log]\nlevel = 'debug'\nformat = 'json'\n"
      "[network]\nsubnet_v6 = ''\nmtu = 1400\nloopback_host_ports = false\n"
      "[cgroup]\ndriver = 'systemd'\n"
      "[selinux]\nmode = 'off'\n"
      "[images]\npinned = ['a:1', 'b@sha256:c']\nmax_layer_bytes = 0x100000\n"
      "[limits]\npull_threads = 7\n");
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(path_, true));
  EXPECT_EQ(config.instance, "b2");
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.log_format, "json");
  EXPECT_EQ(config.subnet_v6, "");
  EXPECT_EQ(config.mtu, 1400);
  EXPECT_FALSE(config.loopback_host_ports);
  EXPECT_EQ(config.cgroup_driver, "systemd");
  EXPECT_EQ(config.selinux_mode, "off");
  EXPECT_THAT(config.pinned, ElementsAre("a:1", "b@sha256:c"));
  EXPECT_EQ(config.max_layer_bytes, 1 << 20);
  EXPECT_EQ(config.pull_threads, 7);
  Write(ConfigToml(config));
  ASSERT_OK_AND_ASSIGN(const Config again, LoadConfig(path_, true));
  EXPECT_EQ(ConfigToml(again), ConfigToml(config));
}

TEST_F(ConfigTest, MistakesNameFileAndLine) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"\nnonsense = 1\n", ":2: nonsense: unknown key"},
      {"[network]\nmtuu = 3\n", ":2: network.mtuu: unknown key"},
      {"[nettwork]\nmtu = 3\n", ":1: nettwork: unknown key"},
      {"network = 3\n", ":1: network: must be a table"},
      {"[network]\n\nmtu = 'big'\n", ":3: network.mtu: must be an integer"},
      {"[network]\nmtu = 70000\n", ":2: network.mtu: 70000 is not between 0 and 65535"},
      {"[network]\nmtu = 1.5\n", ":2: network.mtu: must be an integer"},
      {"[network]\nloopback_host_ports = 1\n",
       ":2: network.loopback_host_ports: must be true or false"},
      {"[network]\nsubnet_v4 = ''\n", ":2: network.subnet_v4: must not be empty"},
      {"[network]\nmode = 'cni'\n", ":2: network.mode: \"cni\" is not one of builtin"},
      {"[images]\npinned = 'a'\n", ":2: images.pinned: must be an array of strings"},
      {"[images]\npinned = ['a', 1]\n", ":2: images.pinned: must be an array of strings"},
      {"[log]\nlevel = 3\n", ":2: log.level: must be a string"},
      {"[cgroup]\ndriver = 'v2'\n",
       ":2: cgroup.driver: \"v2\" is not one of auto, systemd, cgroupfs"},
      {"instance = 'Big'\n", ":1: instance: must be a lower-case letter"},
      {"instance = 'elevenchars'\n", ":1: instance: must be a lower-case letter"},
      {"[limits]\nwork_threads = 0\n", ":2: limits.work_threads: 0 is not between 1 and 1024"},
      {"a = 1\na = 2\n", ":2: "},
      {"[log\n", ":1: "},
  };
  for (const auto& bad : cases) {
    Write(bad.text);
    EXPECT_THAT(LoadConfig(path_, true),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(path_ + bad.message)));
  }
}

TEST_F(ConfigTest, DropInsWinInLexicalOrder) {
  Write("[network]\nmtu = 1000\n[images]\npinned = ['a']\n");
  WriteDropIn("20-b.toml", "[network]\nmtu = 2000\n");
  WriteDropIn("10-a.toml", "[network]\nmtu = 1500\nsubnet_v6 = ''\n[images]\npinned = ['b']\n");
  WriteDropIn("30-c.toml.bak", "nonsense = 1\n");
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(path_, true));
  EXPECT_EQ(config.mtu, 2000);
  EXPECT_EQ(config.subnet_v6, "");
  EXPECT_THAT(config.pinned, ElementsAre("b"));
  WriteDropIn("40-d.toml", "\n\nnonsense = 1\n");
  EXPECT_THAT(LoadConfig(path_, true),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(path_ + ".d/40-d.toml:3: nonsense: unknown key")));
}

TEST_F(ConfigTest, JsonTellsKubeadmTheSandboxImage) {
  ASSERT_OK_AND_ASSIGN(const json::Value value,
                       json::Parse(ConfigJson(Config()), 1 << 20, "config"));
  EXPECT_EQ(value.at("sandboxImage").as_string(), Config().sandbox_image);
  EXPECT_EQ(value.at("network.mode").as_string(), "builtin");
}

int Parse(std::vector<std::string> arguments, Options* options) {
  arguments.insert(arguments.begin(), "berthd");
  std::vector<char*> argv;
  argv.reserve(arguments.size());
  for (std::string& argument : arguments) argv.push_back(argument.data());
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  const int code = ParseOptions(static_cast<int>(argv.size()), argv.data(), options);
  testing::internal::GetCapturedStderr();
  testing::internal::GetCapturedStdout();
  return code;
}

TEST(OptionsTest, FlagsAndCommands) {
  Options options;
  EXPECT_EQ(Parse({}, &options), -1);
  EXPECT_EQ(options.command, Command::kRun);
  EXPECT_EQ(options.listen, "/run/berth/berthd.sock");
  EXPECT_FALSE(options.config_given);

  options = Options();
  EXPECT_EQ(Parse({"--listen", "unix:///tmp/x.sock", "--root=/r", "--config", "/c.toml",
                   "--log-level", "debug"},
                  &options),
            -1);
  EXPECT_EQ(options.listen, "/tmp/x.sock");
  EXPECT_EQ(options.root, "/r");
  EXPECT_TRUE(options.config_given);
  EXPECT_EQ(options.log_level, "debug");

  options = Options();
  EXPECT_EQ(Parse({"config", "check", "--config", "/c.toml"}, &options), -1);
  EXPECT_EQ(options.command, Command::kConfigCheck);
  EXPECT_EQ(options.config, "/c.toml");
  EXPECT_EQ(Parse({"config", "default"}, &options), -1);
  EXPECT_EQ(options.command, Command::kConfigDefault);
  EXPECT_EQ(Parse({"config", "dump"}, &options), -1);
  EXPECT_EQ(options.command, Command::kConfigDump);
  EXPECT_EQ(Parse({"version"}, &options), -1);
  EXPECT_EQ(options.command, Command::kVersion);
}

TEST(OptionsTest, WrongUsageIsCodeTwo) {
  Options options;
  EXPECT_EQ(Parse({"--nonsense"}, &options), 2);
  EXPECT_EQ(Parse({"--root", "relative"}, &options), 2);
  EXPECT_EQ(Parse({"--log-level", "loud"}, &options), 2);
  EXPECT_EQ(Parse({"config"}, &options), 2);
  EXPECT_EQ(Parse({"--help"}, &options), 0);
}

TEST(ServiceManagerTest, SendsToTheSocketAndHidesItFromChildren) {
  const std::string path = testing::TempDir() + "/notify.sock";
  ::unlink(path.c_str());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "60000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_EQ(::getenv("NOTIFY_SOCKET"), nullptr);
  EXPECT_EQ(manager.watchdog_interval(), absl::Seconds(30));
  ASSERT_OK(manager.Notify("READY=1"));
  char buffer[64] = {};
  ASSERT_EQ(::recv(fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT), 7);
  EXPECT_STREQ(buffer, "READY=1");
  ::unlink(path.c_str());
  EXPECT_FALSE(manager.Notify("STOPPING=1").ok());

  ::setenv("WATCHDOG_USEC", "60000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  const ServiceManager nobody = ServiceManager::FromEnvironment();
  EXPECT_FALSE(nobody.watchdog_interval().has_value()) << "meant for another process";
  EXPECT_OK(nobody.Notify("READY=1"));
}

TEST(ProgramPathTest, LooksBesideThisProgram) {
  EXPECT_THAT(FindProgram("daemon_config_test"), IsOk());
  EXPECT_THAT(FindProgram("no-such-program"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("../lib/berth/no-such-program")));
}

}  // namespace
}  // namespace berth::daemon
