// SPDX-License-Identifier: Apache-2.0
// Records that a filter selects, newest first. What is still being made is nobody's business yet.
#pragma once

#include <vector>

#include "sandbox/store.h"
#include "sandbox/types.h"

namespace berth::sandbox {

std::vector<Store::Pod> Select(const Store& store, const PodFilter& filter);
std::vector<Store::Container> Select(const Store& store, const ContainerFilter& filter);

}  // namespace berth::sandbox
