// SPDX-License-Identifier: Apache-2.0
// What is precompiled needs a source to be compiled for.
int main() { return 0; }
