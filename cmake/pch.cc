// SPDX-License-Identifier: Apache-2.0
// Empty: what is precompiled needs a source to be compiled for.
