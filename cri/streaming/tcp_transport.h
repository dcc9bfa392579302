// SPDX-License-Identifier: Apache-2.0
// TCP, and TLS on it.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "cri/streaming/tls.h"
#include "cri/streaming/transport.h"

namespace berth::cri::streaming {

// Small writes leave at once; a peer that is gone without a word is found by keepalive.
std::unique_ptr<Transport> MakeTcpTransport(asio::ip::tcp::socket socket);

// After the handshake; null if it fails or takes longer than `limit`.
Task<std::unique_ptr<Transport>> MakeTlsTransport(asio::io_context& loop,
                                                  asio::ip::tcp::socket socket, TlsContext context,
                                                  std::chrono::milliseconds limit);

}  // namespace berth::cri::streaming
