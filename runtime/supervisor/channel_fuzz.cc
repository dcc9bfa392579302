// SPDX-License-Identifier: Apache-2.0
// A monitor that sends anything: packets, each a length of two bytes and its bytes, while one
// request waits for its reply. The request ends, and its reply reads as any struct.
#include "runtime/supervisor/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

namespace {

using berth::UniqueFd;
using berth::runtime::Channel;
namespace wire = berth::wire;

unsigned Touch(const berth::runtime::ChannelReply& reply) {
  return reply.As<wire::HelloReply>().protocol + reply.As<wire::PodInfo>().mask +
         reply.As<wire::LaunchReply>().failed_plan + reply.As<wire::AttachReply>().terminal;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
  UniqueFd peer(ends[1]);
  volatile unsigned sum = 0;
  Channel channel(UniqueFd(ends[0]), "monitor",
                  [&](const wire::ExitRecord& record) { sum = sum + record.flags; });
  std::thread caller([&] {
    const auto reply = channel.Call(wire::kList, {}, {}, absl::InfiniteFuture());
    if (reply.ok()) sum = sum + Touch(*reply);
  });
  // Once the request is here, its reply is waited for.
  wire::MessageHeader request;
  if (recv(peer.get(), &request, sizeof request, 0) != sizeof request) abort();

  std::string_view input(reinterpret_cast<const char*>(data), size);
  bool open = true;
  while (open && input.size() > 2) {
    const size_t wanted = static_cast<uint8_t>(input[0]) | static_cast<uint8_t>(input[1]) << 8;
    input.remove_prefix(2);
    const std::string_view packet = input.substr(0, wanted);
    input.remove_prefix(packet.size());
    // An empty packet is the end of the connection.
    if (send(peer.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) break;
    open = channel.OnReadable();
  }
  channel.Close();
  caller.join();
  return 0;
}
