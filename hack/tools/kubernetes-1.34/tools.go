//go:build tools

// SPDX-License-Identifier: Apache-2.0

package tools

import _ "k8s.io/kubernetes/cmd/kubelet"
