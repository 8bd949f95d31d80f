// SPDX-License-Identifier: BSD-3-Clause
//
// WipeFreedMemory: while one lives, every object that its thread deletes is overwritten first. It
// is for code of others that copies secrets, such as the YAML parser with the users file. It
// replaces the global operator delete of pns-control. Memory that malloc gave and free takes is not
// covered. In a build with sanitizers it does nothing: they have an operator delete of their own.
#pragma once

namespace pns::control {

class WipeFreedMemory {
 public:
  WipeFreedMemory() noexcept;
  ~WipeFreedMemory();  // overwrites the part of the stack that calls have used, 256 KiB
  WipeFreedMemory(const WipeFreedMemory&) = delete;
  WipeFreedMemory& operator=(const WipeFreedMemory&) = delete;
};

}  // namespace pns::control
