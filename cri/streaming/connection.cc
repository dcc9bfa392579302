// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/connection.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "cri/streaming/exec_session.h"
#include "cri/streaming/forward_session.h"
#include "cri/streaming/negotiate.h"
#include "cri/streaming/spdy_client.h"
#include "cri/streaming/spdy_process.h"
#include "cri/streaming/ws_client.h"

namespace berth::cri::streaming {
namespace {

constexpr char kVersionField[] = "X-Stream-Protocol-Version";
constexpr size_t kProcessStreams = 8;
constexpr size_t kForwardStreams = 1024;

const sandbox::StreamSelection& SelectionOf(const Request& request) {
  if (const ExecRequest* exec = std::get_if<ExecRequest>(&request)) return exec->selection;
  return std::get<AttachRequest>(request).selection;
}

// Also because g++ 12 takes no braces inside of co_await.
HttpAnswer Refusal(int code, std::string text) { return HttpAnswer{code, {}, std::move(text)}; }
HttpAnswer Refusal(int code, std::string text, std::string name, std::string value) {
  return HttpAnswer{code, {{std::move(name), std::move(value)}}, std::move(text)};
}

HttpAnswer NoProtocol(const std::vector<std::string>& offered, std::string_view known) {
  return HttpAnswer{403,
                    {{"X-Accepted-Stream-Protocol-Versions", std::string(known)}},
                    absl::StrCat("none of the protocols ", absl::StrJoin(offered, ", "),
                                 " is served here, but ", std::string(known))};
}

// Null for an attach.
std::unique_ptr<ExecStart> StartIfExec(asio::io_context& loop, const SessionHost& host,
                                       const Request& request) {
  const ExecRequest* const exec = std::get_if<ExecRequest>(&request);
  return exec == nullptr ? nullptr : std::make_unique<ExecStart>(loop, host, *exec);
}

// `start` is set for an exec.
Task<void> ServeProcess(asio::io_context& loop, SessionHost host, Request request, ExecStart* start,
                        ProcessChannels channels, StatusForm form, Client* client) {
  if (start != nullptr) {
    co_await ServeExec(loop, host, start, channels, form, client);
  } else {
    co_await ServeAttach(loop, host, std::get<AttachRequest>(request), channels, form, client);
  }
}

Task<void> ServeSpdyProcess(asio::io_context& loop, SessionHost host, Request request,
                            ExecStart* start, SpdyProcess* streams, StatusForm form,
                            Client* client) {
  client->OnGone([streams] { streams->Gone(); });
  const bool complete = co_await streams->Complete(host.creation_timeout);
  client->OnGone(nullptr);
  if (!complete) {
    client->Abort();
    if (start != nullptr) co_await start->Abandon();
    co_return;
  }
  co_await ServeProcess(loop, host, std::move(request), start, streams->channels(), form, client);
}

}  // namespace

void Connection::Abort() {
  aborted_ = true;
  timer_.cancel();
  if (client_ != nullptr) {
    client_->Abort();
  } else if (transport_ != nullptr) {
    transport_->Close();
  }
}

Task<void> Connection::Serve(bool busy) {
  std::optional<HttpRequest> request = co_await ReadRequest();
  if (!request.has_value() || aborted_) co_return;
  if (busy) {
    co_await Answer(Refusal(429, "too many streams are open", "Retry-After", "1"));
    co_return;
  }
  co_await Route(*std::move(request));
}

Task<std::optional<HttpRequest>> Connection::ReadRequest() {
  timer_.expires_after(kRequestLimit);
  Transport* const transport = transport_.get();
  timer_.async_wait([transport](const boost::system::error_code& cancelled) {
    if (!cancelled) transport->Close();
  });
  std::string buffer(4096, '\0');
  while (true) {
    const size_t size = co_await transport_->Read(buffer.data(), buffer.size());
    if (size == 0) break;
    early_.append(buffer, 0, size);
    StatusOr<std::optional<HttpRequest>> request = TakeHttpRequest(&early_);
    if (!request.ok()) {
      const int code = absl::IsResourceExhausted(request.status()) ? 431 : 400;
      co_await Answer(Refusal(code, std::string(request.status().message())));
      break;
    }
    if (!request->has_value()) continue;
    if (timer_.cancel() != 1) break;  // too late
    co_return **std::move(request);
  }
  timer_.cancel();
  co_return std::nullopt;
}

Task<void> Connection::Answer(HttpAnswer answer) {
  const std::string text = HttpAnswerText(answer);
  co_await transport_->Write(text);
  co_await transport_->EndWrite();
  // What came behind the request is read, or closing would take the answer back.
  timer_.expires_after(std::chrono::seconds(1));
  Transport* const transport = transport_.get();
  timer_.async_wait([transport](const boost::system::error_code& cancelled) {
    if (!cancelled) transport->Close();
  });
  char sink[4096];
  size_t size = 1;
  while (size > 0) size = co_await transport_->Read(sink, sizeof sink);
  timer_.cancel();
}

Task<bool> Connection::Switch(HttpAnswer answer) {
  const std::string text = HttpAnswerText(answer);
  const bool sent = co_await transport_->Write(text);
  co_return sent && !aborted_;
}

Task<void> Connection::Route(HttpRequest http) {
  // "/exec/<token>", and so on.
  const size_t slash = http.path.find('/', 1);
  const std::string kind = slash == std::string::npos ? "" : http.path.substr(1, slash - 1);
  if (kind != "exec" && kind != "attach" && kind != "portforward") {
    co_await Answer(Refusal(404, "no such page"));
    co_return;
  }
  if (http.method != "GET" && http.method != "POST") {
    co_await Answer(Refusal(405, "only GET and POST are served", "Allow", "GET, POST"));
    co_return;
  }
  StatusOr<Request> request = tokens_->Take(http.path.substr(slash + 1));
  if (!request.ok() || kind != KindOf(*request)) {
    co_await Answer(Refusal(404, "no such request, or its time is over"));
    co_return;
  }
  const bool web_socket = http.Has("upgrade", "websocket");
  if (!http.Has("connection", "upgrade") || (!web_socket && !http.Has("upgrade", "SPDY/3.1"))) {
    co_await Answer(Refusal(400, "an upgrade to SPDY/3.1 or websocket is needed"));
    co_return;
  }
  if (web_socket && (http.method != "GET" || !http.Has("sec-websocket-version", "13") ||
                     http.Values("sec-websocket-key").size() != 1)) {
    co_await Answer(Refusal(400, "not a WebSocket handshake", "Sec-WebSocket-Version", "13"));
    co_return;
  }
  ForwardRequest* const forward = std::get_if<ForwardRequest>(&*request);
  if (forward == nullptr) {
    if (web_socket) {
      co_await WsProcess(std::move(http), *std::move(request));
    } else {
      co_await SpdyProcess(std::move(http), *std::move(request));
    }
  } else if (web_socket) {
    co_await WsForward(std::move(http), *forward);
  } else {
    co_await SpdyForward(std::move(http), *forward);
  }
}

namespace {

HttpAnswer SpdySwitch(std::string_view protocol) {
  return HttpAnswer{
      101,
      {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}, {kVersionField, std::string(protocol)}},
      ""};
}

HttpAnswer WsSwitch(const HttpRequest& http, const std::string& protocol) {
  HttpAnswer answer{101,
                    {{"Connection", "Upgrade"},
                     {"Upgrade", "websocket"},
                     {"Sec-WebSocket-Accept", WsAccept(http.Values("sec-websocket-key")[0])}},
                    ""};
  if (!protocol.empty()) answer.fields.emplace_back("Sec-WebSocket-Protocol", protocol);
  return answer;
}

}  // namespace

Task<void> Connection::SpdyProcess(HttpRequest http, Request request) {
  const std::vector<std::string> offered = SplitList(http.Values("x-stream-protocol-version"));
  if (offered.empty()) {
    co_await Answer(Refusal(400, absl::StrCat(kVersionField, ": missing")));
    co_return;
  }
  const std::optional<SpdyVersion> version = ChooseSpdyVersion(offered);
  if (!version.has_value()) {
    co_await Answer(NoProtocol(offered, "v4.channel.k8s.io"));
    co_return;
  }
  const std::unique_ptr<ExecStart> start = StartIfExec(loop_, host_, request);
  const bool switched = co_await Switch(SpdySwitch(version->name));
  if (!switched) {
    if (start != nullptr) co_await start->Abandon();
    co_return;
  }
  streaming::SpdyProcess streams(loop_, *version, SelectionOf(request));
  SpdyClient client(loop_, std::move(transport_), std::move(early_), kProcessStreams);
  client.set_accept(
      [&streams](std::shared_ptr<SpdyStream> stream) { return streams.Accept(std::move(stream)); });
  TaskGroup session(loop_);
  session.Spawn(ServeSpdyProcess(loop_, host_, std::move(request), start.get(), &streams,
                                 version->json_status ? StatusForm::kJson : StatusForm::kText,
                                 &client));
  co_await RunClient(&client);
  co_await session.Wait();
}

Task<void> Connection::SpdyForward(HttpRequest http, ForwardRequest request) {
  const std::vector<std::string> offered = SplitList(http.Values("x-stream-protocol-version"));
  if (offered.empty()) {
    co_await Answer(Refusal(400, absl::StrCat(kVersionField, ": missing")));
    co_return;
  }
  if (std::ranges::find(offered, kPortForward) == offered.end()) {
    co_await Answer(NoProtocol(offered, kPortForward));
    co_return;
  }
  const bool switched = co_await Switch(SpdySwitch(kPortForward));
  if (!switched) co_return;
  co_await RunForward(std::move(transport_), std::move(early_), std::move(request));
}

Task<void> Connection::RunForward(std::unique_ptr<Transport> transport, std::string early,
                                  ForwardRequest request) {
  SpdyClient client(loop_, std::move(transport), std::move(early), kForwardStreams);
  ForwardSession session(loop_, host_, std::move(request), &client);
  client.set_accept(
      [&session](std::shared_ptr<SpdyStream> stream) { return session.Accept(std::move(stream)); });
  co_await RunClient(&client);
  co_await session.Ended();
}

Task<void> Connection::WsProcess(HttpRequest http, Request request) {
  const std::vector<std::string> offered = SplitList(http.Values("sec-websocket-protocol"));
  const std::optional<WsVersion> version = ChooseWsVersion(offered);
  if (!version.has_value()) {
    co_await Answer(NoProtocol(offered, "v5.channel.k8s.io, v4.channel.k8s.io"));
    co_return;
  }
  const std::unique_ptr<ExecStart> start = StartIfExec(loop_, host_, request);
  const bool switched = co_await Switch(WsSwitch(http, version->name));
  if (!switched) {
    if (start != nullptr) co_await start->Abandon();
    co_return;
  }
  WsClient::Options options;
  options.base64 = version->base64;
  options.half_close = version->half_close;
  WsClient client(loop_, std::move(transport_), std::move(early_), options);
  const sandbox::StreamSelection selection = SelectionOf(request);
  ProcessChannels channels;
  if (selection.in) channels.in = client.channel(0);
  if (selection.out) channels.out = client.channel(1);
  if (selection.err) channels.err = client.channel(2);
  channels.error = client.channel(3);
  if (selection.tty) channels.resize = client.channel(4);
  if (!selection.in) client.channel(0)->inbox()->Discard();
  if (!selection.out) client.channel(1)->inbox()->Discard();
  if (!selection.err) client.channel(2)->inbox()->Discard();
  if (!selection.tty) client.channel(4)->inbox()->Discard();
  client.Greet(selection.out ? 1 : selection.err ? 2 : 3);
  TaskGroup session(loop_);
  session.Spawn(ServeProcess(loop_, host_, std::move(request), start.get(), channels,
                             version->json_status ? StatusForm::kJson : StatusForm::kText,
                             &client));
  co_await RunClient(&client);
  co_await session.Wait();
}

Task<void> Connection::WsForward(HttpRequest http, ForwardRequest request) {
  const std::vector<std::string> offered = SplitList(http.Values("sec-websocket-protocol"));
  const std::optional<WsForwardVersion> version = ChooseWsForwardVersion(offered);
  if (!version.has_value()) {
    co_await Answer(NoProtocol(offered, kPortForwardTunnel));
    co_return;
  }
  if (!version->tunnel && (request.ports.empty() || request.ports.size() > 100)) {
    co_await Answer(
        Refusal(400, "the request must name between 1 and 100 ports for this protocol"));
    co_return;
  }
  const bool switched = co_await Switch(WsSwitch(http, version->name));
  if (!switched) co_return;
  if (version->tunnel) {
    auto tunnel = std::make_unique<WsTunnel>(loop_, std::move(transport_), std::move(early_));
    co_await RunForward(std::move(tunnel), "", std::move(request));
    co_return;
  }
  const std::vector<uint16_t> ports = request.ports;
  WsClient::Options options;
  options.channels = 2 * ports.size();
  options.base64 = version->base64;
  WsClient client(loop_, std::move(transport_), std::move(early_), options);
  ForwardSession session(loop_, host_, std::move(request), &client);
  for (size_t i = 0; i < ports.size(); ++i) {
    client.SendPort(2 * i, ports[i]);
    client.SendPort(2 * i + 1, ports[i]);
    session.Serve(ports[i], client.channel(2 * i), client.channel(2 * i + 1));
  }
  co_await RunClient(&client);
  co_await session.Ended();
}

Task<void> Connection::RunClient(Client* client) {
  client_ = client;
  if (aborted_) client->Abort();
  TaskGroup watch(loop_);
  watch.Spawn(WatchIdle(client));
  co_await client->Run();
  client_ = nullptr;
  timer_.cancel();
  co_await watch.Wait();
}

Task<void> Connection::WatchIdle(Client* client) {
  while (client_ != nullptr && !client->gone()) {
    const auto end = client->last_use() + host_.idle_timeout;
    if (std::chrono::steady_clock::now() >= end) {
      client->Abort();
      co_return;
    }
    timer_.expires_at(end);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

}  // namespace berth::cri::streaming
