// SPDX-License-Identifier: Apache-2.0
// Options of the network and port mappings of a pod, from arbitrary bytes: lines of text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "network/config.h"
#include "network/hostport.h"
#include "network/ipam.h"

namespace berth::network {
namespace {

std::string TakeLine(std::string_view& rest) {
  size_t end = rest.find('\n');
  std::string line(rest.substr(0, end));
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return line;
}

void Run(std::string_view text) {
  BuiltinOptions options;
  options.instance = TakeLine(text);
  options.subnet_v4 = TakeLine(text);
  options.subnet_v6 = TakeLine(text);
  StatusOr<Config> config = Config::Parse(options);
  if (!config.ok()) return;
  if (config->LinkName(options.instance).size() > 15 || config->bridge().size() > 15) abort();
  Ipam ipam(config->v4(), config->v6());
  StatusOr<uint64_t> place = ipam.Take({}, absl::ZeroDuration());
  if (!place.ok()) abort();
  std::vector<IpAddress> addresses = ipam.AddressesOf(*place);
  for (const IpAddress& address : addresses) {
    if (ipam.PlaceOf(address) != *place) abort();
  }
  HostPorts ports(/*loopback=*/true);
  std::vector<PortMapping> mappings;
  while (!text.empty()) {
    PortMapping mapping;
    mapping.host_ip = TakeLine(text);
    mapping.protocol = static_cast<Protocol>(mapping.host_ip.size() % 4);
    mapping.host_port = static_cast<uint16_t>(text.size());
    mapping.container_port = 80;
    mappings.push_back(mapping);
  }
  bool claimed = ports.Claim("a", mappings, addresses).ok();
  if (!claimed && !ports.Rules().empty()) abort();
  ports.Release("a");
  if (!ports.Rules().empty()) abort();
}

}  // namespace
}  // namespace berth::network

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  berth::network::Run(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
