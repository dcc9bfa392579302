// SPDX-License-Identifier: Apache-2.0
// berth: talks to berthd for what crictl has no words for. Exit codes: 0 done, 1 failed, 2 wrong
// usage.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "cmd/berth/explain.h"
#include "cmd/berth/timeline.h"
#include "cri/api/berth/v1/admin.grpc.pb.h"

namespace berth {
namespace {

namespace admin = ::berth::v1;

class Client {
 public:
  explicit Client(std::string socket)
      : socket_(std::move(socket)),
        stub_(admin::Admin::NewStub(grpc::CreateCustomChannel(
            "unix:" + socket_, grpc::InsecureChannelCredentials(), Unlimited()))) {}

  int Version() {
    std::printf("berth %s\n", BERTH_VERSION);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    admin::VersionResponse response;
    if (grpc::Status status = stub_->Version(&context, {}, &response); !status.ok()) {
      return Fail(status);
    }
    std::printf("berthd %s\n", response.version().c_str());
    return 0;
  }

  int Import(const std::string& path, const std::string& name) {
    admin::ImportImageRequest request;
    std::error_code error;
    // The daemon has another working directory.
    request.set_path(std::filesystem::absolute(path, error).string());
    request.set_name(name);
    grpc::ClientContext context;
    admin::ImportImageResponse response;
    if (grpc::Status status = stub_->ImportImage(&context, request, &response); !status.ok()) {
      return Fail(status);
    }
    for (const std::string& id : response.image_ids()) std::printf("%s\n", id.c_str());
    return 0;
  }

  int Timeline(const std::string& pod, bool as_json) {
    admin::TimelineRequest request;
    request.set_pod_sandbox_id(pod);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    admin::TimelineResponse response;
    if (grpc::Status status = stub_->Timeline(&context, request, &response); !status.ok()) {
      return Fail(status);
    }
    std::fputs((as_json ? TimelineJson(response) : TimelineText(response)).c_str(), stdout);
    return 0;
  }

  struct Explanation {
    std::string image;
    std::string creds;
    double timeout_s = 120;
    bool as_json = false;
  };
  int ExplainPull(const Explanation& options) {
    admin::ExplainPullRequest request;
    request.set_image(options.image);
    request.set_timeout_ms(static_cast<int64_t>(options.timeout_s * 1000));
    if (std::string creds = options.creds; !creds.empty()) {
      if (creds == "-") std::getline(std::cin, creds);
      const auto auth = ParseCreds(creds);
      if (!auth.ok()) {
        std::fprintf(stderr, "berth: %s\n", std::string(auth.status().message()).c_str());
        return 2;
      }
      *request.mutable_auth() = *auth;
    }
    grpc::ClientContext context;
    // The daemon keeps the time, so that what was found until then is shown.
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10) +
                         std::chrono::milliseconds(request.timeout_ms()));
    admin::ExplainPullResponse response;
    if (grpc::Status status = stub_->ExplainPull(&context, request, &response); !status.ok()) {
      return Fail(status);
    }
    std::fputs((options.as_json ? ExplainJson(response) : ExplainText(response)).c_str(), stdout);
    if (response.code() == 0) return 0;
    std::fflush(stdout);
    std::fprintf(stderr, "berth: a pull of %s would fail: %s\n", options.image.c_str(),
                 response.message().c_str());
    return 1;
  }

 private:
  // The daemon is trusted, and an index may be long.
  static grpc::ChannelArguments Unlimited() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    return arguments;
  }
  int Fail(const grpc::Status& status) const {
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      std::fprintf(stderr,
                   "berth: no answer at %s (does berthd run? may you use the socket?): %s\n",
                   socket_.c_str(), status.error_message().c_str());
    } else {
      std::fprintf(stderr, "berth: %s\n", status.error_message().c_str());
    }
    return 1;
  }

  const std::string socket_;
  const std::unique_ptr<admin::Admin::Stub> stub_;
};

// The command `explain pull`, which fills `to`.
CLI::App* AddExplain(CLI::App* app, Client::Explanation* to) {
  CLI::App* explain = app->add_subcommand("explain", "Shows what berthd would do and why");
  explain->require_subcommand(1);
  CLI::App* pull = explain->add_subcommand(
      "pull",
      "Asks registries as a pull of the image would and shows each mirror, authorization and "
      "platform decision; fetches no layer, stores nothing. Exit code 1: a pull would fail");
  pull->add_option("image", to->image, "Any name that crictl pull takes")->required();
  pull->add_flag("--json", to->as_json, "As one JSON object");
  pull->add_option("--creds", to->creds,
                   "USER[:PASSWORD] for the registry; - reads it from the first line of the input, "
                   "where the list of processes does not show it")
      ->envname("BERTH_CREDS");
  pull->add_option("--timeout", to->timeout_s, "Seconds after which what is known is shown")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  return pull;
}

int Main(int argc, char** argv) {
  std::string socket = "/run/berth/berthd.sock";
  std::string path;
  std::string name;
  std::string pod;
  CLI::App app{"Operates a node that runs berthd. For pods, containers and pulls see crictl."};
  app.name("berth");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--socket", socket, "Socket of berthd, with or without unix://")
      ->transform([](const std::string& text) {
        return text.starts_with("unix://") ? text.substr(7) : text;
      })
      ->capture_default_str();
  CLI::App* images = app.add_subcommand("images", "Images of the node");
  images->require_subcommand(1);
  CLI::App* import = images->add_subcommand(
      "import", "Imports an OCI layout (directory or tar) or a docker archive, prints image IDs");
  import->add_option("path", path, "What to import")->required();
  import->add_option("--name", name, "Name for the image; default: those in the archive");
  bool as_json = false;
  CLI::App* timeline = app.add_subcommand(
      "timeline", "Shows where the time went while a pod and its containers came up");
  timeline->add_option("pod", pod, "ID of the pod sandbox, or the beginning of it")->required();
  timeline->add_flag("--json", as_json, "As one JSON object, times in nanoseconds");
  Client::Explanation explanation;
  const CLI::App* explain = AddExplain(&app, &explanation);
  const CLI::App* version = app.add_subcommand("version", "Prints the versions of both sides");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  Client client(socket);
  if (explain->parsed()) return client.ExplainPull(explanation);
  if (timeline->parsed()) return client.Timeline(pod, as_json);
  return version->parsed() ? client.Version() : client.Import(path, name);
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) { return berth::Main(argc, argv); }
