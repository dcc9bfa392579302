//go:build tools

// SPDX-License-Identifier: Apache-2.0

package tools

import _ "go.etcd.io/etcd/server/v3"
