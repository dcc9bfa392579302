// SPDX-License-Identifier: Apache-2.0
// The parts that pods and containers share: protobuf to sandbox/types.h and back.
//
// Every From function checks what it reads. `path` is where the message stands in the request;
// errors are InvalidArgument and read "<path>.<field>: <what is wrong>". Thread safe: no state.
#pragma once

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "sandbox/types.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

// InvalidArgument "<path>.<field>: <why>"; an empty path leaves the field alone.
Status Invalid(const std::string& path, const std::string& field, const std::string& why);
// "<path>.<field>[<index>]"
std::string At(const std::string& path, const std::string& field, int index);
std::string Join(const std::string& path, const std::string& field);

// True if ".." is a component of `file_path`.
bool Climbs(const std::string& file_path);
bool HasControl(const std::string& text);
// For messages: in quotes, what cannot be printed escaped, long text cut.
std::string Quote(const std::string& text);
inline constexpr size_t kMaxPath = 4096;  // of the kernel, the final NUL included
// A path in the container: absolute, without "..", no longer than the kernel takes.
Status CheckContainerPath(const std::string& file_path, const std::string& path);

using ProtoMap = google::protobuf::Map<std::string, std::string>;
sandbox::StringMap FromMap(const ProtoMap& map);
void ToMap(const sandbox::StringMap& from, ProtoMap* to);
std::vector<std::string> FromStrings(const google::protobuf::RepeatedPtrField<std::string>& list);

StatusOr<sandbox::NamespaceOptions> FromNamespaces(const v1::NamespaceOption& from,
                                                   const std::string& path);
void ToNamespaces(const sandbox::NamespaceOptions& from, v1::NamespaceOption* to);

std::vector<sandbox::IdRange> FromIdMappings(
    const google::protobuf::RepeatedPtrField<v1::IDMapping>& list);
void ToIdMappings(const std::vector<sandbox::IdRange>& from,
                  google::protobuf::RepeatedPtrField<v1::IDMapping>* to);

enum class ProfileKind { kSeccomp, kAppArmor };
StatusOr<sandbox::SecurityProfile> FromProfile(const v1::SecurityProfile& from, ProfileKind kind,
                                               const std::string& path);
sandbox::SelinuxOptions FromSelinux(const v1::SELinuxOption& from);

// An ID of a user or group: 0 to 2147483647.
StatusOr<int64_t> FromId(const v1::Int64Value& from, const std::string& path);
StatusOr<std::vector<int64_t>> FromGroups(const google::protobuf::RepeatedField<int64_t>& list,
                                          const std::string& path);
StatusOr<sandbox::GroupsPolicy> FromGroupsPolicy(v1::SupplementalGroupsPolicy from,
                                                 const std::string& path);

// The image must be named.
StatusOr<sandbox::ImageRef> FromImageSpec(const v1::ImageSpec& from, const std::string& path);
void ToImageSpec(const sandbox::ImageRef& from, v1::ImageSpec* to);

// "SIGTERM", "SIGRTMIN+3"; empty for SIGNAL_RUNTIME_DEFAULT.
StatusOr<std::string> FromSignal(v1::Signal from, const std::string& path);
// SIGNAL_RUNTIME_DEFAULT for a name the API does not have.
v1::Signal ToSignal(const std::string& name);

}  // namespace berth::cri
