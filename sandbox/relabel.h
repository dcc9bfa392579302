// SPDX-License-Identifier: Apache-2.0
// Gives files on the node an SELinux context. Thread safe: no state.
#pragma once

#include <string>

#include "base/context.h"
#include "base/status.h"

namespace berth::sandbox {

inline constexpr char kSelinuxAttribute[] = "security.selinux";

// The file dirfd/name itself, also where it is a link. OK where its file system has no contexts.
Status LabelFile(int dirfd, const std::string& name, const std::string& label,
                 const char* attribute = kSelinuxAttribute);

// `path` and everything below it on the same mount; links in it are labelled, not followed, and
// what is exchanged meanwhile leads nowhere else. A missing path becomes a directory. `path` itself
// comes last, so that a tree whose top has the label is done and is not walked again. OK where the
// file system has no contexts. InvalidArgument, without its subject, for what is the node's own
// (/, /etc, /usr, anything in /proc and so on).
Status RelabelTree(const Context& context, const std::string& path, const std::string& label,
                   const char* attribute = kSelinuxAttribute);

// Whether `path`, absolute and free of links, is a directory that no pod may have relabelled. Pure.
bool IsNodesOwn(const std::string& path);

}  // namespace berth::sandbox
