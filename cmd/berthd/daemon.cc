// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/daemon.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/database.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sys.h"
#include "cmd/berthd/main_loop.h"
#include "cmd/berthd/program_path.h"
#include "cmd/berthd/service_manager.h"
#include "cri/listener.h"
#include "cri/server.h"
#include "images/images.h"
#include "network/network.h"
#include "runtime/runtime.h"
#include "sandbox/sandbox.h"

namespace berth::daemon {
namespace {

constexpr char kListenerName[] = "cri-listener";
constexpr mode_t kRootMode = 0711;
constexpr mode_t kPrivateMode = 0700;

// Held while the daemon lives: two on one root would destroy each other's records.
StatusOr<UniqueFd> LockRoot(const std::string& root) {
  const std::string path = root + "/lock";
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(path, O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(absl::StrCat(root, ": another berthd uses it"));
    }
    return ErrnoError(errno, absl::StrCat("lock ", path));
  }
  return fd;
}

runtime::CgroupDriver DriverOf(const Config& config) {
  if (config.cgroup_driver == "systemd") return runtime::CgroupDriver::kSystemd;
  if (config.cgroup_driver == "cgroupfs") return runtime::CgroupDriver::kCgroupfs;
  return runtime::DetectCgroupDriver();
}

// The socket of the run before, if it is still the one at the path, so that clients who connected
// meanwhile are served; else a new one, kept for the next run.
StatusOr<UniqueFd> OpenListener(runtime::Runtime* keeper, const std::string& path) {
  StatusOr<std::vector<UniqueFd>> kept = keeper->Fetch(kListenerName);
  if (kept.ok() && kept->size() == 1 && cri::IsListeningAt((*kept)[0].get(), path)) {
    return std::move((*kept)[0]);
  }
  ASSIGN_OR_RETURN(UniqueFd listener, cri::Listen(path, /*gid=*/0));
  // Without a keeper clients see a refused connect during a restart, no more.
  if (Status status = keeper->Keep(kListenerName, {listener.get()}); !status.ok()) {
    log::Warning("keep the listening socket: ", status.ToString());
  }
  return listener;
}

// Everything that lives as long as the daemon, in the order in which it comes to life. Members end
// in reverse, so that nothing outlives what it uses.
class Parts {
 public:
  Status Open(const Options& options, const Config& config);
  Status Serve(const Options& options, const Config& config);
  Status Recover() { return manager_->Recover(runtime_.get()); }
  // No request runs any more: the exits seen so far are written down, the rest is for the next run.
  void Quiesce() { manager_->Quiesce(); }
  cri::Server* server() { return server_.get(); }

 private:
  sandbox::Handlers handlers_;
  UniqueFd lock_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<network::Network> network_;
  std::unique_ptr<images::ImageService> images_;
  std::unique_ptr<sandbox::Manager> manager_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<cri::Server> server_;
  bool systemd_ = false;
};

Status Parts::Open(const Options& options, const Config& config) {
  ASSIGN_OR_RETURN(handlers_, HandlersOf(config));
  const std::string storage = options.root + "/images";
  const std::string runtime_state = options.state + "/runtime";
  RETURN_IF_ERROR(MakeDirs(options.root, kRootMode));
  RETURN_IF_ERROR(MakeDirs(options.state, kRootMode));
  RETURN_IF_ERROR(MakeDirs(storage, kPrivateMode));
  RETURN_IF_ERROR(MakeDirs(runtime_state, kPrivateMode));
  ASSIGN_OR_RETURN(lock_, LockRoot(options.root));
  ASSIGN_OR_RETURN(database_, Database::Open(options.root + "/berth.db"));

  network::BuiltinOptions network;
  network.instance = config.instance;
  network.subnet_v4 = config.subnet_v4;
  network.subnet_v6 = config.subnet_v6;
  network.mtu = static_cast<uint32_t>(config.mtu);
  network.loopback_host_ports = config.loopback_host_ports;
  network.fixed_ranges =
      config.named.contains("network.subnet_v4") || config.named.contains("network.subnet_v6");
  network.memory_dir = options.root;
  ASSIGN_OR_RETURN(network_, network::CreateBuiltin(network));

  images::Options images;
  images.root = storage;
  images.certs_dir = options.certs_dir;
  ASSIGN_OR_RETURN(images.unpacker_path, FindProgram("berth-unpack"));
  images.max_concurrent_downloads = static_cast<int>(config.max_concurrent_downloads);
  images.max_layer_bytes = static_cast<uint64_t>(config.max_layer_bytes);
  images.max_layer_inodes = static_cast<uint64_t>(config.max_layer_inodes);
  images.pinned = config.pinned;
  ASSIGN_OR_RETURN(images_, images::Create(images, database_.get()));

  sandbox::Options pods;
  pods.root = options.root;
  pods.state = options.state;
  pods.instance = config.instance;
  pods.handlers = handlers_;
  pods.selinux.enabled = config.selinux_mode != "off";
  ASSIGN_OR_RETURN(
      manager_, sandbox::Manager::Create(pods, {database_.get(), images_.get(), network_.get()}));

  runtime::Runtime::Options runtime;
  runtime.state_dir = runtime_state;
  runtime.instance = config.instance;
  runtime.cgroup_driver = DriverOf(config);
  systemd_ = runtime.cgroup_driver == runtime::CgroupDriver::kSystemd;
  ASSIGN_OR_RETURN(runtime_, runtime::Runtime::Start(runtime, manager_->listener()));
  return absl::OkStatus();
}

Status Parts::Serve(const Options& options, const Config& config) {
  cri::ServerOptions server;
  server.node.version = BERTH_VERSION;
  server.node.default_handler = handlers_.standard().name;
  server.node.handler_aliases = handlers_.OtherNames();
  server.node.systemd_cgroup_driver = systemd_;
  server.node.mount_options = true;
  if (Status probed = runtime_->ProbeUserNamespaces(options.root + "/images"); probed.ok()) {
    server.node.user_namespaces = true;
    std::vector<std::string> names = handlers_.OtherNames();
    names.push_back(handlers_.standard().name);
    for (const std::string& name : names) {
      if (handlers_.Find(name)->runtime_path.empty()) continue;
      server.node.handlers_without_user_namespaces.push_back(name);
    }
  } else {
    log::Info("user namespaces are not offered: ", probed.ToString());
  }
  server.node.config_json = ConfigJson(config);
  server.limits.work_threads = static_cast<size_t>(config.work_threads);
  server.limits.slow_threads = static_cast<size_t>(config.stop_threads);
  server.limits.pull_threads = static_cast<size_t>(config.pull_threads);
  server.limits.max_queued = static_cast<size_t>(config.max_queued);
  server.streaming.address = config.streaming_address;
  server.streaming.port = static_cast<uint16_t>(config.streaming_port);
  server.streaming.cert_file = config.streaming_cert_file;
  server.streaming.key_file = config.streaming_key_file;
  server.streaming.idle_timeout = absl::Minutes(config.streaming_idle_minutes);
  server.streaming.max_streams = static_cast<size_t>(config.streaming_connections);
  ASSIGN_OR_RETURN(UniqueFd listener, OpenListener(runtime_.get(), options.listen));
  ASSIGN_OR_RETURN(server_, cri::Server::Start(server, std::move(listener),
                                               {manager_.get(), images_.get(), manager_->streams(),
                                                manager_->statistics()}));
  return absl::OkStatus();
}

void Tell(const ServiceManager& manager, const std::string& state) {
  if (Status status = manager.Notify(state); !status.ok()) log::Warning(status.ToString());
}

}  // namespace

Status RunDaemon(const Options& options, const Config& config) {
  ServiceManager manager = ServiceManager::FromEnvironment();
  ASSIGN_OR_RETURN(std::unique_ptr<MainLoop> loop, MainLoop::Create());
  PrepareProcess();

  Parts parts;
  RETURN_IF_ERROR(parts.Open(options, config));
  RETURN_IF_ERROR(parts.Serve(options, config));
  RETURN_IF_ERROR(Annotate(parts.Recover(), "recovery"));
  parts.server()->SetReady();
  log::Info("berth ", BERTH_VERSION, " serves ", options.listen);
  Tell(manager, "READY=1");

  loop->Run(manager.watchdog_interval(), [&manager] { Tell(manager, "WATCHDOG=1"); });

  log::Info("stopping; containers keep running");
  Tell(manager, "STOPPING=1");
  parts.server()->Shutdown(absl::Seconds(5));
  parts.Quiesce();
  return absl::OkStatus();
}

}  // namespace berth::daemon
