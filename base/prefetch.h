#pragma once

namespace afdg {

/// A hint that the memory is used soon, mostly to be written. Any address will do.
inline void prefetch_memory(const void* memory) noexcept {
  __builtin_prefetch(memory, 1);
  // GCC 12 takes a function that only prefetches for one without effects and removes calls to it.
  asm volatile("");
}

}  // namespace afdg
