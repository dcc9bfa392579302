// SPDX-License-Identifier: Apache-2.0
// One exec or attach of one client, whatever protocol it speaks.
#pragma once

#include <stop_token>

#include "cri/streaming/client.h"
#include "cri/streaming/exec_start.h"
#include "cri/streaming/exit_status.h"
#include "cri/streaming/process_pumps.h"
#include "cri/streaming/request.h"
#include "cri/streaming/session.h"

namespace berth::cri::streaming {

// All output first, then the status on the error channel, then the ends of all channels, then
// goodbye. A client that vanishes has its exec killed, or is detached. `start` and
// `client` outlive the task.
Task<void> ServeExec(asio::io_context& loop, SessionHost host, ExecStart* start,
                     ProcessChannels channels, StatusForm form, Client* client);
Task<void> ServeAttach(asio::io_context& loop, SessionHost host, AttachRequest request,
                       ProcessChannels channels, StatusForm form, Client* client);

}  // namespace berth::cri::streaming
