#pragma once

namespace afdg {
/// Prints what was broken and where, and aborts; data on disk stays as it is.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line,
                                   const char* why) noexcept;
}  // namespace afdg

/// A broken invariant ends the process, in release builds too. `why` is a C string, read only on failure.
#define AFDG_ASSERT(condition, why)                                    \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::afdg::assertion_failed(#condition, __FILE__, __LINE__, (why)); \
  } while (false)
