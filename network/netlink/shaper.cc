// SPDX-License-Identifier: Apache-2.0
#include "network/netlink/shaper.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "network/netlink/link.h"

namespace berth::network::netlink {
namespace {

constexpr uint32_t kIngressHandle = TC_H_MAKE(TC_H_INGRESS, 0);
constexpr uint16_t kAnyPriority = 1;
// What may pass at once after a pause, and what may wait: the bytes of this part of a second, and
// some packets in any case, which offloading makes as large as 64 KiB.
constexpr uint64_t kPartsOfSecond = 20;
constexpr uint64_t kLeastBurst = 32 * 1024;
constexpr uint64_t kMostBurst = 256 * 1024 * 1024;

tcmsg Header(int index, uint32_t parent, uint32_t handle = 0) {
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = index;
  header.tcm_parent = parent;
  header.tcm_handle = handle;
  return header;
}

Message BucketMessage(int index, uint64_t bits_per_second) {
  const uint64_t bytes = std::max<uint64_t>(bits_per_second / 8, 1);
  const uint64_t burst = std::clamp(bytes / kPartsOfSecond, kLeastBurst, kMostBurst);
  tc_tbf_qopt parameters = {};
  const bool wide = bytes > std::numeric_limits<uint32_t>::max();
  parameters.rate.rate = wide ? std::numeric_limits<uint32_t>::max() : static_cast<uint32_t>(bytes);
  parameters.rate.linklayer = TC_LINKLAYER_ETHERNET;
  parameters.limit = static_cast<uint32_t>(2 * burst);
  Message message(absl::StrCat("limit what interface ", index, " sends"), RTM_NEWQDISC,
                  NLM_F_CREATE | NLM_F_REPLACE, AsBytes(Header(index, TC_H_ROOT)));
  message.PutString(TCA_KIND, "tbf");
  message.Begin(TCA_OPTIONS);
  message.Put(TCA_TBF_PARMS, AsBytes(parameters));
  message.PutU32(TCA_TBF_BURST, static_cast<uint32_t>(burst));
  if (wide) message.Put(TCA_TBF_RATE64, AsBytes(bytes));
  message.End();
  return message;
}

Message IngressMessage(int index) {
  Message message(absl::StrCat("watch what interface ", index, " receives"), RTM_NEWQDISC,
                  NLM_F_CREATE | NLM_F_REPLACE,
                  AsBytes(Header(index, TC_H_INGRESS, kIngressHandle)));
  message.PutString(TCA_KIND, "ingress");
  return message;
}

Message RedirectMessage(int from, int to) {
  tcmsg header = Header(from, kIngressHandle);
  header.tcm_info = TC_H_MAKE(uint32_t{kAnyPriority} << 16, htons(ETH_P_ALL));
  // One key of zeroes: any bytes, none of which count.
  tc_u32_sel selector = {};
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  std::array<uint8_t, sizeof selector + sizeof(tc_u32_key)> everything = {};
  memcpy(everything.data(), &selector, sizeof selector);
  tc_mirred redirect = {};
  redirect.action = TC_ACT_STOLEN;
  redirect.eaction = TCA_EGRESS_REDIR;
  redirect.ifindex = static_cast<uint32_t>(to);
  Message message(absl::StrCat("redirect what interface ", from, " receives to ", to),
                  RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, AsBytes(header));
  message.PutString(TCA_KIND, "u32");
  message.Begin(TCA_OPTIONS);
  message.Put(TCA_U32_SEL, everything);
  message.Begin(TCA_U32_ACT);
  message.Begin(1);
  message.PutString(TCA_ACT_KIND, "mirred");
  message.Begin(TCA_ACT_OPTIONS);
  message.Put(TCA_MIRRED_PARMS, AsBytes(redirect));
  message.End();
  message.End();
  message.End();
  message.End();
  return message;
}

}  // namespace

Status LimitSending(Socket& socket, int index, uint64_t bits_per_second) {
  Message limit = BucketMessage(index, bits_per_second);
  return socket.Execute(limit);
}

Status LimitReceiving(Socket& socket, const ReceiveLimit& limit) {
  ASSIGN_OR_RETURN(const int shaper, CreateIfb(socket, limit.shaper, limit.mtu));
  Message messages[] = {BucketMessage(shaper, limit.bits_per_second),
                        SetUpMessage(shaper, limit.shaper), IngressMessage(limit.index),
                        RedirectMessage(limit.index, shaper)};
  Status status = socket.Execute(messages);
  if (!status.ok()) DeleteLinks(socket, {shaper}).IgnoreError();
  return status;
}

}  // namespace berth::network::netlink
