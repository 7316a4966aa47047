#pragma once

#include <cstddef>

// What kafka_test has on the heap; allocation_test.cc counts it.
namespace afdg::kafka::testing {

[[nodiscard]] std::size_t heap_bytes() noexcept;
/// The most since reset_heap_peak(). Exact while one thread works.
[[nodiscard]] std::size_t heap_bytes_peak() noexcept;
void reset_heap_peak() noexcept;

}  // namespace afdg::kafka::testing
